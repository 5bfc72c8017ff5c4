import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { Context, MiddlewareHandler } from 'hono'
import { backchannelLogoutPath } from '../sessions/backchannel-logout-route.ts'
import type { Cookies } from '../sessions/cookies.ts'
import { isSessionId } from '../sessions/session-store.ts'
import { type Audit, tooManyRequests } from './audit.ts'
import type { ClientAddress } from './client-address.ts'
import { isSafe } from './csrf-protection.ts'
import type { RateLimits } from './rate-limits.ts'

/** Sign-ins have limits of their own. */
const personalPaths = /^\/(api|auth\/(?!login$))/

export type AddressRateLimit = ReturnType<typeof createAddressRateLimit>

/**
 * Counts by address what is about a person and what changes something. Counted apart are the provider, which may have
 * everybody to sign out at once, and who signs out: somebody else at the same address may have asked too much.
 *
 * What comes with the cookie of a session is the session's to count, for a clinic is one address. It meets a far wider
 * bound here, and when it turns out that no session is behind it, or that another site sent it, it is counted like the rest.
 */
export function createAddressRateLimit(options: {
  limits: RateLimits
  clientAddress: ClientAddress
  cookies: Cookies
  audit: Audit
}) {
  const { limits, clientAddress, cookies, audit } = options

  const take = (c: Context<HttpEnv>, kind: ReturnType<typeof kindOf>) =>
    limits.take(kind, clientAddress(c), () => audit(c, tooManyRequests))

  function kindOf(c: Context<HttpEnv>) {
    const { path } = c.req
    if (path === backchannelLogoutPath) return 'providerAddress'
    if (path === '/auth/logout') return 'signOutAddress'
    return isSessionId(cookies.sessionId(c) ?? '') ? 'cookieAddress' : 'apiAddress'
  }

  /** Requests that came with a cookie, of which it is not known yet whether there is a session behind it. */
  const open = new WeakSet<Request>()

  /** A cookie alone may not keep a request from being counted. */
  async function countRefusal(c: Context<HttpEnv>): Promise<void> {
    if (open.delete(c.req.raw)) await take(c, 'apiAddress')
  }

  return {
    /** Before anything else is done: whoever asks too much costs no look into the store and no line in the audit log. */
    async countRequest(c, next) {
      if (isSafe(c.req.method) && !personalPaths.test(c.req.path)) return next()
      const kind = kindOf(c)
      await take(c, kind)
      if (kind === 'cookieAddress') open.add(c.req.raw)
      await next()
      // It was refused before anybody looked for its session.
      await countRefusal(c)
    },
    countRefusal,
    /** It has a session, which counts it. */
    countedBySession: (c) => void open.delete(c.req.raw),
  } satisfies {
    countRequest: MiddlewareHandler<HttpEnv>
    countRefusal: (c: Context<HttpEnv>) => Promise<void>
    countedBySession: (c: Context<HttpEnv>) => void
  }
}
