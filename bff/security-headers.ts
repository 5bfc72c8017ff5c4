import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { MiddlewareHandler } from 'hono'
import { secureHeaders } from 'hono/secure-headers'

/**
 * Headers of every answer to a browser (OWASP Secure Headers Project). Nothing inline runs, no page of another
 * site may frame these, and data comes from here and the CDN alone.
 */
export function securityHeaders(options: {
  https: boolean
  cdnOrigin: string | undefined
}): MiddlewareHandler<HttpEnv> {
  return secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      fontSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      manifestSrc: ["'self'"],
      connectSrc: ["'self'", ...(options.cdnOrigin ? [options.cdnOrigin] : [])],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
    },
    referrerPolicy: 'same-origin',
    xFrameOptions: 'DENY',
    xXssProtection: false,
    strictTransportSecurity: options.https ? 'max-age=31536000' : false,
    permissionsPolicy: { camera: [], geolocation: [], microphone: [], payment: [], usb: [] },
  })
}

/** Nothing under these paths may stay in any cache: it is about one person. */
export const neverStored: MiddlewareHandler<HttpEnv> = async (c, next) => {
  await next()
  c.res.headers.set('cache-control', 'no-store')
}
