import { TendonError } from '@tendon/platform/errors.ts'
import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { Context } from 'hono'
import { bffErrors } from '../errors.ts'
import type { AddressRateLimit } from '../protection/address-rate-limit.ts'
import { type Audit, tooManyRequests } from '../protection/audit.ts'
import type { ClientAddress } from '../protection/client-address.ts'
import type { RateLimits } from '../protection/rate-limits.ts'
import type { Cookies } from './cookies.ts'
import type { RefreshTokens } from './refresh-tokens.ts'
import type { LoadedSession } from './session.ts'
import type { SessionStore } from './session-store.ts'
import { visitOf } from './visit.ts'

/** The session of a request, counted. @throws TENDON-BFF-001 when there is none, -016 when it asks too much */
export type SignedIn = (c: Context<HttpEnv>) => Promise<LoadedSession>

export function createSignedIn(options: {
  sessions: SessionStore
  cookies: Cookies
  limits: RateLimits
  addressRateLimit: AddressRateLimit
  audit: Audit
}): SignedIn {
  const { sessions, cookies, limits, addressRateLimit, audit } = options
  return async (c) => {
    const loaded = await sessions.load(cookies.sessionId(c) ?? '')
    if (!loaded) {
      await addressRateLimit.countRefusal(c)
      throw bffErrors.notSignedIn('Nobody is signed in here.')
    }
    const { hash, session } = loaded
    addressRateLimit.countedBySession(c)
    await limits.take('apiSession', hash, () => audit(c, { ...tooManyRequests, who: session }))
    return loaded
  }
}

/**
 * The session with an access token that is good for a while, and so with what the provider says of its account by now:
 * whatever is about a person asks for it first. It is not a use.
 * @throws TENDON-BFF-002 when the session has ended; -007 when the provider does not answer, and the session stays
 */
export type Freshen = (c: Context<HttpEnv>, loaded: LoadedSession) => Promise<LoadedSession>

export function createFreshen(options: { refreshTokens: RefreshTokens; audit: Audit }): Freshen {
  const { refreshTokens, audit } = options
  return (c, loaded) =>
    refreshTokens.fresh(loaded).catch((err) => {
      const { code: reason } = bffErrors.sessionEnded
      if (err instanceof TendonError && err.code === reason) {
        audit(c, { action: 'token_refresh', outcome: 'refused', who: loaded.session, reason })
      }
      throw err
    })
}

/** What a page asks by itself says so: it does not keep a session alive that nobody uses. */
const backgroundHeader = 'x-tendon-background'

/** Notes that a person uses the session, which begins its idle time anew. */
export type NoteUse = (c: Context<HttpEnv>, loaded: LoadedSession) => Promise<LoadedSession>

export function createNoteUse(options: { sessions: SessionStore; clientAddress: ClientAddress }): NoteUse {
  const { sessions, clientAddress } = options
  return async (c, loaded) =>
    sessions.isNoted(loaded) || c.req.header(backgroundHeader)
      ? loaded
      : sessions.use(loaded, visitOf(c, clientAddress))
}
