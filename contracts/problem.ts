import { z } from 'zod'

/** An error as every service answers it: `application/problem+json` (RFC 9457) with Tendon's code. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string().optional(),
  /** `TENDON-<AREA>-<NNN>`, documented in docs/errors.md. */
  code: z.string(),
  /** What the reader can do about it. */
  help: z.string().optional(),
  request_id: z.string().optional(),
})
export type Problem = z.infer<typeof problem>
