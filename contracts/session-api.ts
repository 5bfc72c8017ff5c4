import { z } from 'zod'

/** `GET /auth/me`: who is signed in. 401 with a problem document when nobody is. */
export const sessionUser = z.object({
  name: z.string(),
  username: z.string(),
  roles: z.array(z.string()),
  /** The CRM customer this login belongs to; null for staff. */
  customer_id: z.uuid().nullable(),
})
export type SessionUser = z.infer<typeof sessionUser>
