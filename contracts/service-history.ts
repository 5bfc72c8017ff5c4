import { z } from 'zod'
import { prosthesisIdentity, reportCustomer } from './prosthesis-daily.ts'

/** `data` of the report `service-history`. */
export const serviceHistory = z.object({
  customer: reportCustomer,
  /** Every prosthesis that is or was the customer's, given back ones included. */
  prostheses: z.array(
    prosthesisIdentity.extend({ issued_at: z.iso.date(), returned_at: z.iso.date().nullable() }),
  ),
  /** Whether there were more changes than are shown, which are the newest; the log forgets after 400 days. */
  is_cut: z.boolean(),
})

/**
 * One field of one prosthesis that changed, newest first. What changed about the customer is not part of it, as their name.
 */
export const serviceHistoryRow = z.object({
  /** When the CRM committed it. */
  changed_at: z.iso.datetime(),
  prosthesis_id: z.guid(),
  serial_number: z.string(),
  /** `recorded`: the prosthesis was entered, or first seen; `changed`; `removed`: taken out of the CRM, or somebody else's. */
  change: z.enum(['recorded', 'changed', 'removed']),
  /**
   * As the CRM names it: `serial_number`, `chip_id`, `side`, `firmware_version`, `issued_at`, `returned_at`; of the
   * settings each by itself, as in `settings.grip_strength`; `model` when it is another one, `model_name` when the same one
   * has got another name. Null unless `changed`.
   */
  field: z.string().nullable(),
  before: z.string().nullable(),
  after: z.string().nullable(),
})
export type ServiceHistoryRow = z.infer<typeof serviceHistoryRow>
