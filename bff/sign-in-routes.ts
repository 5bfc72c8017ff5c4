import { TendonError } from '@tendon/platform/errors.ts'
import { type HttpApp, type HttpEnv, problemResponse } from '@tendon/platform/http-app.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { type Context, Hono } from 'hono'
import { html } from 'hono/html'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Cookies } from './cookies.ts'
import { bffErrors } from './errors.ts'
import type { OidcClient } from './oidc-client.ts'
import { returnTo } from './return-to.ts'
import { type SessionStore, toSession } from './session-store.ts'
import { type SignInTransactions, signInSeconds } from './sign-in-transactions.ts'

/**
 * `GET /auth/login` and `GET /callback`: the authorization code flow with PKCE (RFC 7636), ending in a session.
 * @param options.sessionMs how long a session lasts at most
 */
export function signInRoutes(options: {
  provider: OidcClient
  transactions: SignInTransactions
  sessions: SessionStore
  cookies: Cookies
  sessionMs: number
  now: () => number
  metrics: Metrics
}): HttpApp {
  const { provider, transactions, sessions, cookies, sessionMs, now, metrics } = options
  const signIns = metrics.counter('sign_ins_total', 'Sign-ins by how they ended', ['outcome'])
  const app = new Hono<HttpEnv>()

  app.get('/auth/login', async (c) => {
    const target = returnTo.default('/').safeParse(c.req.query('return_to'))
    if (!target.success) {
      throw bffErrors.returnToRefused('After the sign-in, only a path of this site can be returned to.')
    }
    const { state, nonce, codeVerifier, url } = await provider.beginSignIn()
    const secret = await transactions.begin(state, { nonce, codeVerifier, returnTo: target.data })
    cookies.setSignIn(c, state, secret, signInSeconds)
    return c.redirect(url, 303)
  })

  app.get('/callback', async (c) => {
    const state = c.req.query('state') ?? ''
    const secret = cookies.signIn(c, state)
    const signIn = await transactions.take(state, secret)
    cookies.clearSignIn(c, state)
    const tokens = await provider.finishSignIn(new URL(c.req.url).search, { state, ...signIn })
    // A new id each time, and the old session ends: nobody can plant one (session fixation).
    const former = await sessions.load(cookies.sessionId(c) ?? '')
    const id = await sessions.create(toSession(tokens, now() + sessionMs))
    if (former) await sessions.end(former.hash)
    cookies.setSessionId(c, id)
    signIns.inc({ outcome: 'signed_in' })
    return c.redirect(signIn.returnTo, 303)
  })

  app.onError((err, c) => {
    signIns.inc({ outcome: err instanceof TendonError ? err.code : 'unexpected' })
    if (!(err instanceof TendonError)) throw err
    return errorPage(c, err)
  })
  return app
}

/** A person sees this, not a program: the problem as a page, all of it escaped, with a way to try again. */
async function errorPage(c: Context<HttpEnv>, error: TendonError): Promise<Response> {
  const { status, title, help } = error.definition
  c.get('log')[status >= 500 ? 'error' : 'info']({ err: error }, 'sign-in failed')
  const problem = problemResponse(c, error)
  const page = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>
<body><main>
<h1>${title}</h1>
<p role="alert">${error.message}</p>
<p>${help}</p>
<p><a href="/auth/login">Try again</a></p>
<p><small>${error.code}, request ${c.get('requestId')}</small></p>
</main></body>
</html>`
  const retryAfter = problem.headers.get('retry-after')
  if (retryAfter) c.header('retry-after', retryAfter)
  return c.html(page, status as ContentfulStatusCode)
}
