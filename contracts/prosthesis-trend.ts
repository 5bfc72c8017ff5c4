import { z } from 'zod'
import { prosthesisIdentity, reportCustomer } from './prosthesis-daily.ts'

/** The days a trend can go back from its own. */
export const trendDays = z.enum(['30', '90'])

/** `data` of the report `prosthesis-trend`. */
export const prosthesisTrend = z.object({
  /** First day of the trend; its last is the report's. */
  from: z.iso.date(),
  customer: reportCustomer,
  prostheses: z.array(prosthesisIdentity),
})

/** A prosthesis on a day, and beside each number the median of all prostheses of its model that sent any that day. */
export const prosthesisTrendRow = z.object({
  ...prosthesisIdentity.pick({ prosthesis_id: true, serial_number: true, model: true }).shape,
  day: z.iso.date(),
  error_rate: z.number(),
  model_error_rate: z.number().nullable(),
  response_time_avg_ms: z.number().nullable(),
  model_response_time_avg_ms: z.number().nullable(),
  battery_avg_percent: z.number().nullable(),
  model_battery_avg_percent: z.number().nullable(),
  active_minutes: z.number(),
  model_active_minutes: z.number().nullable(),
  /** How many prostheses the medians are of, this one included. */
  model_prostheses: z.number().int(),
})
