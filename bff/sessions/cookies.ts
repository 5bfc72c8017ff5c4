import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'

type RequestContext = Context<HttpEnv>

/** More sign-ins than anybody has open at once; further ones push out the first. */
const maxPendingSignIns = 8

export type Cookies = ReturnType<typeof createCookies>

/**
 * The two kinds of cookies there are. On https their names begin with `__Host-`, so that no other host of the
 * domain can set them (RFC 6265bis §4.1.3.2); on http, as on localhost, browsers would not accept that.
 */
export function createCookies(options: { secure: boolean }) {
  const prefix = options.secure ? '__Host-' : ''
  const sessionName = `${prefix}session_id`
  const signInPrefix = `${prefix}sign_in_`
  // Lax, not Strict: the browser comes back from the provider by a navigation from another site.
  const attributes = { httpOnly: true, sameSite: 'Lax', path: '/', secure: options.secure } as const
  const signInName = (state: string) => signInPrefix + state.slice(0, 16)
  /** Of the request that was asked about last: several ask, one after the other. */
  let latest: { c: RequestContext; sessionId: string | undefined } | undefined

  return {
    sessionId(c: RequestContext): string | undefined {
      if (latest?.c !== c) latest = { c, sessionId: getCookie(c, sessionName) }
      return latest.sessionId
    },
    /** Without an expiry: it goes when the browser is closed, and the session has its own end. */
    setSessionId: (c: RequestContext, id: string) => setCookie(c, sessionName, id, attributes),
    clearSessionId: (c: RequestContext) => {
      deleteCookie(c, sessionName, attributes)
    },

    /** What ties a sign-in to this browser. A cookie for each, for several tabs may sign in at once. */
    setSignIn(c: RequestContext, state: string, secret: string, maxAgeSeconds: number): void {
      const pending = Object.keys(getCookie(c)).filter((name) => name.startsWith(signInPrefix))
      for (const name of pending.slice(0, -(maxPendingSignIns - 1))) deleteCookie(c, name, attributes)
      setCookie(c, signInName(state), secret, { ...attributes, maxAge: maxAgeSeconds })
    },
    signIn: (c: RequestContext, state: string) => getCookie(c, signInName(state)),
    clearSignIn: (c: RequestContext, state: string) => {
      deleteCookie(c, signInName(state), attributes)
    },
  }
}
