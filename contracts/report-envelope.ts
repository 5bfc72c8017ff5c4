import { z } from 'zod'
import { freshness } from './freshness.ts'

/** What stands in the object store: the same envelope for every report, its `data` as the report declares it. */
export const reportEnvelope = z.object({
  schema_version: z.literal(1),
  report: z.string(),
  title: z.string(),
  user_id: z.uuid(),
  date: z.iso.date(),
  generated_at: z.iso.datetime(),
  freshness,
  /** Unit of each number in `data`, by field name: `{"response_time_avg_ms": "ms"}`. */
  units: z.record(z.string(), z.string()),
  data: z.unknown(),
})
export type ReportEnvelope = z.infer<typeof reportEnvelope>

/** Numbers of one prosthesis on one day; null where the device sent nothing that day. */
export const prosthesisDay = z.object({
  day: z.iso.date(),
  events: z.number().int(),
  errors: z.number().int(),
  error_rate: z.number(),
  response_time_avg_ms: z.number().nullable(),
  response_time_p95_ms: z.number().nullable(),
  battery_min_percent: z.number().nullable(),
  battery_avg_percent: z.number().nullable(),
  active_minutes: z.number(),
  movements: z.number().int(),
})
export type ProsthesisDay = z.infer<typeof prosthesisDay>

/** `data` of the report `prosthesis-daily`. */
export const prosthesisDaily = z.object({
  customer: z.object({ full_name: z.string() }),
  prostheses: z.array(
    z.object({
      prosthesis_id: z.uuid(),
      serial_number: z.string(),
      model: z.string(),
      side: z.string(),
      firmware_version: z.string(),
      /** The report's day; null when the device sent nothing that day. */
      day: prosthesisDay.nullable(),
      /** Up to 30 days that end with the report's day, oldest first; days without telemetry are absent. */
      last_30_days: z.array(prosthesisDay),
    }),
  ),
})
export type ProsthesisDaily = z.infer<typeof prosthesisDaily>
