import { z } from 'zod'

/** What a prosthesis is, as the CRM says now. */
export const prosthesisIdentity = z.object({
  prosthesis_id: z.guid(),
  serial_number: z.string(),
  model: z.string(),
  side: z.string(),
  firmware_version: z.string(),
})

/** Numbers of one prosthesis on one day; null where the device sent none of a kind. */
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

/** Whom a report is of. `time_zone`, by which days are cut, is that of where they live; the ETL job's default where the CRM has none. */
export const reportCustomer = z.object({ full_name: z.string(), time_zone: z.string() })

/** `data` of the report `prosthesis-daily`: whom and what it is about. */
export const prosthesisDaily = z.object({
  customer: reportCustomer,
  /** Those the customer had on the report's day. */
  prostheses: z.array(prosthesisIdentity),
})
export type ProsthesisDaily = z.infer<typeof prosthesisDaily>

/**
 * A row of it: a prosthesis on a day. Up to 30 days that end with the report's day, oldest first; days without
 * telemetry are absent.
 */
export const prosthesisDailyRow = z.object({
  ...prosthesisIdentity.pick({ prosthesis_id: true, serial_number: true, model: true }).shape,
  ...prosthesisDay.shape,
})
