import { z } from 'zod'
import { freshness } from './freshness.ts'
import { reportFormat } from './report-envelope.ts'

/** `GET /reports` (and the bff's `GET /api/reports`): the reports this user may read, and for which days. */
export const reportList = z.object({
  reports: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      /** Of one customer, or of everybody. */
      subject: z.enum(['customer', 'everybody']),
      formats: z.array(reportFormat),
      /**
       * The day to open on: the newest with data, and of everybody the newest that was over wherever they live. Null when there
       * are no data yet.
       */
      latest_date: z.iso.date().nullable(),
      from: z.iso.date().nullable(),
      to: z.iso.date().nullable(),
    }),
  ),
})
export type ReportList = z.infer<typeof reportList>

/** `GET /reports/:report/:date` (and the bff's `GET /api/reports/cdn/:date`): where the report lies. */
export const reportLink = z.object({
  /** Signed CDN address of the immutable object; good until `expires_at`. */
  url: z.url(),
  expires_at: z.iso.datetime(),
  /** When the object was computed. */
  generated_at: z.iso.datetime(),
  /** Whether the object was there already or had to be computed. */
  cache: z.enum(['hit', 'miss']),
  /**
   * How current this answer is: nothing that concerns the user has changed up to here since the object was computed.
   * A part of which that cannot be said for this report is the object's own, which says what it was computed from and stays.
   */
  freshness,
})
export type ReportLink = z.infer<typeof reportLink>

/** `GET /customers?query=` (and the bff's `GET /api/reports/customers`): what staff look for, trimmed. */
export const customerSearch = z.string().trim().min(2).max(100)

/** Who was found, by name; only for the role `report-admin`. */
export const customerList = z.object({
  customers: z.array(z.object({ user_id: z.guid(), full_name: z.string(), email: z.string() })),
  /** Whether there are more than these. */
  is_cut: z.boolean(),
})
export type CustomerList = z.infer<typeof customerList>

/** `POST /invalidate`: one id or a batch. Repeating a call is harmless. */
export const invalidateRequest = z.union([
  z.strictObject({ user_ids: z.array(z.guid()).max(100_000) }),
  z.strictObject({ user_id: z.guid() }),
])

export const invalidateResponse = z.object({ invalidated: z.number().int() })
