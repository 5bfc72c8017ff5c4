import { z } from 'zod'

/*
 * How reports-service tells whoever listens whose reports are made anew, in the key-value store that services share.
 * A message may get lost while a listener is away; the generations are what holds, and are compared when it is back.
 */

/** Channel of the messages. */
export const invalidationsChannel = 'tendon:invalidations'

/** A message: users, and the new generation of each. */
export const invalidationMessage = z.array(z.tuple([z.guid(), z.string()]))
export type Invalidation = z.infer<typeof invalidationMessage>

/** What a user's id is appended to for the key of their generation: another value for another state of their data. */
export const generationKeyPrefix = 'tendon:generation:'

/** Data of an event `invalidated` of `GET /api/events`; the event's id is the generation. */
export const invalidatedEvent = z.object({ user_id: z.guid() })
export type InvalidatedEvent = z.infer<typeof invalidatedEvent>
