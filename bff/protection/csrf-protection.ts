import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { Context, MiddlewareHandler } from 'hono'
import { bffErrors } from '../errors.ts'
import type { AddressRateLimit } from './address-rate-limit.ts'
import type { Audit } from './audit.ts'

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

export const isSafe = (method: string) => safeMethods.has(method)

/**
 * Refuses what another site could make a browser send with the session's cookie (CSRF): a changing request needs
 * a header that no form can set and no other origin may send without a preflight, which is never granted (Fetch
 * §3.3), and must not say that it comes from elsewhere (OWASP, Cross-Site Request Forgery Prevention).
 * @param options.origin of the public address
 * @param options.except paths that are called by servers, which prove themselves in another way
 */
export function csrfProtection(options: {
  origin: string
  except: string[]
  addressRateLimit: AddressRateLimit
  audit: Audit
}): MiddlewareHandler<HttpEnv> {
  const { origin, except, addressRateLimit, audit } = options

  return (c, next) => {
    if (isSafe(c.req.method) || except.includes(c.req.path)) return next()
    const suspicion = suspicionOf(c)
    return suspicion ? refuse(c, suspicion) : next()
  }

  async function refuse(c: Context<HttpEnv>, suspicion: string): Promise<never> {
    await addressRateLimit.countRefusal(c)
    const { code: reason } = bffErrors.crossSiteRefused
    audit(c, { action: 'cross_site_request', outcome: 'refused', reason })
    throw bffErrors.crossSiteRefused(suspicion)
  }

  function suspicionOf(c: Context<HttpEnv>): string | undefined {
    if (c.req.header('x-tendon-csrf') !== '1') return 'The header x-tendon-csrf is missing.'
    if ((c.req.header('origin') ?? origin) !== origin) return 'The header Origin names another site.'
    return (c.req.header('sec-fetch-site') ?? 'same-origin') === 'same-origin'
      ? undefined
      : 'The header Sec-Fetch-Site says that the request comes from elsewhere.'
  }
}
