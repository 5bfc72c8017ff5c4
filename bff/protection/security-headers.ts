import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { MiddlewareHandler } from 'hono'

type Policy = { https: boolean }

/** OWASP Secure Headers Project. */
const common = ({ https }: Policy): Record<string, string> => ({
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // RFC 6797 §6.1; a year. Never on http, where it means nothing.
  ...(https && { 'strict-transport-security': 'max-age=31536000' }),
})

/**
 * Of pages: nothing inline runs but what carries the answer's nonce, no other site may frame them, and data comes
 * from here and the CDN alone (Content Security Policy Level 3).
 * @param nonce of the only inline style there is; without it there is none
 */
export function pageHeaders(
  options: Policy & { cdnOrigin: string | undefined; nonce?: string },
): Record<string, string> {
  const { cdnOrigin, nonce } = options
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    nonce ? `style-src 'nonce-${nonce}'` : "style-src 'self'",
    "font-src 'self'",
    "img-src 'self' data:",
    "manifest-src 'self'",
    cdnOrigin ? `connect-src 'self' ${cdnOrigin}` : "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ]
  return { ...common(options), 'content-security-policy': policy.join('; ') }
}

/** Of data: it stays in no cache, for it is about one person; and were it opened as a page, nothing in it would run. */
export function dataHeaders(options: Policy): Record<string, string> {
  return {
    ...common(options),
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  }
}

/** Paths whose answers are about one person. */
const dataPaths = /^\/(auth|callback|api)(\/|$)/

/** Sets the headers of whatever answers, errors too; a page that has a policy of its own keeps that. */
export function securityHeaders(
  options: Policy & { cdnOrigin: string | undefined },
): MiddlewareHandler<HttpEnv> {
  const ofData = Object.entries(dataHeaders(options))
  const ofPages = Object.entries(pageHeaders(options))
  return async (c, next) => {
    await next()
    // What the gateway has written to the socket carries them already.
    if (c.env?.outgoing?.headersSent) return
    const { headers } = c.res
    const policy = headers.get('content-security-policy')
    for (const [name, value] of dataPaths.test(c.req.path) ? ofData : ofPages) headers.set(name, value)
    if (policy) headers.set('content-security-policy', policy)
  }
}
