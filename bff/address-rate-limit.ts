import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { MiddlewareHandler } from 'hono'
import { type Audit, tooManyRequests } from './audit.ts'
import { backchannelLogoutPath } from './backchannel-logout-route.ts'
import type { ClientAddress } from './client-address.ts'
import { isSafe } from './csrf-protection.ts'
import type { RateLimits } from './rate-limits.ts'

/** Sign-ins have limits of their own. */
const personalPaths = /^\/(api|auth\/(?!login$))/

/**
 * Counts by address what is about a person and what changes something, before anything else is done with it: whoever
 * asks too much costs no look into the store and no line in a log. The provider, which may have everybody to sign out at
 * once, is counted apart.
 */
export function addressRateLimit(options: {
  limits: RateLimits
  clientAddress: ClientAddress
  audit: Audit
}): MiddlewareHandler<HttpEnv> {
  const { limits, clientAddress, audit } = options
  return async (c, next) => {
    const { path, method } = c.req
    if (!isSafe(method) || personalPaths.test(path)) {
      const kind = path === backchannelLogoutPath ? 'providerAddress' : 'apiAddress'
      await limits.take(kind, clientAddress(c), () => audit(c, tooManyRequests))
    }
    return next()
  }
}
