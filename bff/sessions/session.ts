import { type SessionUser, sessionUser } from '@tendon/contracts/session-api.ts'
import { z } from 'zod'
import type { Identity, IssuedTokens } from '../relying-party/issued-tokens.ts'
import { digest } from './digest.ts'

/** What is kept of a sign-in; encrypted as a whole, for names are nobody else's business either. */
export type Session = Omit<IssuedTokens, 'identity'> & {
  user: SessionUser
  /** The provider's id of the account. */
  subject: string
  /** The provider's id of its own session. */
  providerSessionId?: string
  /** Names the session in lists and in the audit log; it opens nothing. */
  handle: string
  lastUsedAtMs: number
  /** However often it is used or refreshed, the session ends here. */
  endsAtMs: number
}

/** As it is read back, for another version may have written it. */
export const storedSession: z.ZodType<Session> = z.object({
  accessToken: z.string(),
  accessTokenExpiresAtMs: z.number(),
  renewAtMs: z.number(),
  refreshToken: z.string(),
  issuedAtSeconds: z.number().default(0),
  idToken: z.string().optional(),
  audiences: z.array(z.string()),
  user: sessionUser,
  subject: z.string(),
  providerSessionId: z.string().exactOptional(),
  handle: z.string(),
  lastUsedAtMs: z.number(),
  endsAtMs: z.number(),
})

/** The same at every instance, also at one that cannot read the session. */
export const handleOf = (hash: string) => digest(hash).slice(0, 16)

export const sessionKey = (hash: string) => `tendon:session:${hash}`

/** A session as it was read: `stored` is what a later write must still find there. */
export type LoadedSession = { id: string; hash: string; stored: string; session: Session }

/** A session of what the provider said. */
export function toSession(
  issued: IssuedTokens & { identity: Identity },
  begun: Pick<Session, 'handle' | 'lastUsedAtMs' | 'endsAtMs'>,
): Session {
  const { identity, ...tokens } = issued
  const { handle, lastUsedAtMs, endsAtMs } = begun
  const username = identity.preferred_username ?? identity.sub
  return {
    ...tokens,
    user: {
      name: identity.name ?? username,
      username,
      roles: identity.roles,
      customer_id: identity.customer_id ?? null,
    },
    subject: identity.sub,
    ...(identity.sid && { providerSessionId: identity.sid }),
    handle,
    lastUsedAtMs,
    endsAtMs,
  }
}

/**
 * The session with the tokens that a refresh gave, and what their ID token says by now. There need not be one (OpenID Connect
 * Core 1.0 §12.2): then nobody says which roles there still are.
 */
export function renewSession(session: Session, issued: IssuedTokens): Session {
  const { identity, ...tokens } = issued
  if (!identity) {
    const user = { ...session.user, roles: [] }
    return { ...session, ...tokens, user, idToken: tokens.idToken ?? session.idToken }
  }
  return toSession({ ...tokens, identity }, session)
}
