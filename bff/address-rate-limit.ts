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
 * asks too much costs no look into the store and no line in a log. Counted apart are the provider, which may have everybody
 * to sign out at once, and who signs out: somebody else at the same address may have asked too much.
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
      await limits.take(kindOf(path), clientAddress(c), () => audit(c, tooManyRequests))
    }
    return next()
  }
}

function kindOf(path: string): 'providerAddress' | 'signOutAddress' | 'apiAddress' {
  if (path === backchannelLogoutPath) return 'providerAddress'
  return path === '/auth/logout' ? 'signOutAddress' : 'apiAddress'
}
