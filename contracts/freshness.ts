import { z } from 'zod'

/** How current a report is: the change feed's position and the ETL run, and the time of each. */
export const freshness = z.object({
  /** `_version` of the newest CRM change the report can have seen, as decimal digits; null before the first. */
  cdc_position: z.string().nullable(),
  /** Commit time of that change. */
  cdc_at: z.iso.datetime().nullable(),
  /** Id of the last successful ETL run; null before the first. */
  etl_run: z.uuid().nullable(),
  /** When that run began: telemetry that came in later may not be in it. */
  etl_at: z.iso.datetime().nullable(),
})
export type Freshness = z.infer<typeof freshness>
