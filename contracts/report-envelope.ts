import { z } from 'zod'
import { freshness } from './freshness.ts'

/** The forms that a report can be had in, each an object of its own; the table forms hold its rows alone. */
export const reportFormat = z.enum(['json', 'csv', 'parquet'])
export type ReportFormat = z.infer<typeof reportFormat>

/** A value of a report's table: plain, so that it is the same in JSON, CSV and Parquet. */
export const tableValue = z.union([z.string(), z.number(), z.boolean(), z.null()])
export type TableRow = Record<string, z.infer<typeof tableValue>>

/** What stands in the object store: the same envelope for every report, its `data` and `rows` as the report declares. */
export const reportEnvelope = z.object({
  schema_version: z.literal(2),
  report: z.string(),
  title: z.string(),
  /** Whose report; null for one of everybody. */
  user_id: z.guid().nullable(),
  date: z.iso.date(),
  /** What else it was asked by, defaults included. */
  parameters: z.record(z.string(), z.string()),
  generated_at: z.iso.datetime(),
  freshness,
  /** Unit of each number in `data` and `rows`, by field name: `{"response_time_avg_ms": "ms"}`; of what is only counted `count`. */
  units: z.record(z.string(), z.string()),
  /** What stands beside the table: names, totals. */
  data: z.unknown(),
  rows: z.array(z.record(z.string(), tableValue)),
})
export type ReportEnvelope = z.infer<typeof reportEnvelope>
