import { z } from 'zod'

/** `GET /auth/me`: who is signed in. 401 with a problem document when nobody is. */
export const sessionUser = z.object({
  name: z.string(),
  username: z.string(),
  roles: z.array(z.string()),
  /** The CRM customer this login belongs to; null for staff. */
  customer_id: z.guid().nullable(),
})
export type SessionUser = z.infer<typeof sessionUser>

/**
 * `GET /auth/sessions`: where one is signed in. Of a session that this instance cannot read, as for want of its key, all but
 * its end is null.
 */
export const ownSessions = z.object({
  sessions: z.array(
    z.object({
      /** For `DELETE /auth/sessions/:id`. */
      id: z.string(),
      /** Whether it is the session that asks. */
      current: z.boolean(),
      /** As in `Firefox on Windows`. */
      device: z.string().nullable(),
      /** IP address of the last use. */
      address: z.string().nullable(),
      /** When the sign-in was. */
      started_at: z.iso.datetime().nullable(),
      /** To the minute. */
      last_used_at: z.iso.datetime().nullable(),
      ends_at: z.iso.datetime(),
    }),
  ),
})
export type OwnSessions = z.infer<typeof ownSessions>

/** `DELETE /auth/sessions`, and of `/auth/users/:username` and `/auth/customers/:customer_id`: how many have been ended. */
export const revokedSessions = z.object({ ended: z.number().int() })
export type RevokedSessions = z.infer<typeof revokedSessions>
