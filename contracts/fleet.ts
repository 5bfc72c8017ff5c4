import { z } from 'zod'

/** UTC-12, where a day ends last: until it is over there, the numbers of everybody's day are those so far. */
export const lastZone = 'Etc/GMT+12'

/** `data` of the report `fleet`. */
export const fleet = z.object({
  /** First day of the twelve weeks; the last is the report's. */
  from: z.iso.date(),
  /** Of the last seven days. */
  prostheses: z.number().int(),
  events: z.number().int(),
  errors: z.number().int(),
  /** Null without events. */
  error_rate: z.number().nullable(),
  /** The prostheses with the highest error rates of the last seven days, the worst first. */
  worst_devices: z.array(
    z.object({
      prosthesis_id: z.guid(),
      serial_number: z.string(),
      user_id: z.guid(),
      model: z.string(),
      firmware_version: z.string(),
      events: z.number().int(),
      errors: z.number().int(),
      error_rate: z.number(),
    }),
  ),
})

/** A model with one firmware in one week. */
export const fleetRow = z.object({
  model: z.string(),
  /** As on the day the numbers are of; where that is not known, as the CRM says now. */
  firmware_version: z.string(),
  /** Its Monday. */
  week: z.iso.date(),
  prostheses: z.number().int(),
  events: z.number().int(),
  errors: z.number().int(),
  error_rate: z.number(),
})
