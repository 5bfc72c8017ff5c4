import { TendonError } from '@tendon/platform/errors.ts'
import { type HttpApp, type HttpEnv, requestLog } from '@tendon/platform/http-app.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { type Context, Hono } from 'hono'
import { bffErrors } from '../errors.ts'
import { type Audit, tooManyRequests } from '../protection/audit.ts'
import type { ClientAddress } from '../protection/client-address.ts'
import type { RateLimits } from '../protection/rate-limits.ts'
import type { IssuedTokens } from '../relying-party/issued-tokens.ts'
import type { OidcClient } from '../relying-party/oidc-client.ts'
import type { Cookies } from '../sessions/cookies.ts'
import type { EndSessions } from '../sessions/end-sessions.ts'
import type { SessionStore } from '../sessions/session-store.ts'
import { visitOf } from '../sessions/visit.ts'
import { errorPage } from './error-page.ts'
import { isOtherLoopbackName } from './loopback-name.ts'
import type { Reauthentication } from './reauthentication.ts'
import { returnTo } from './return-to.ts'
import { type SignIn, type SignInTransactions, signInSeconds } from './sign-in-transactions.ts'

/** `GET /auth/login` and `GET /callback`: the authorization code flow with PKCE (RFC 7636), ending in a session. */
export function signInRoutes(options: {
  provider: OidcClient
  transactions: SignInTransactions
  sessions: SessionStore
  endSessions: EndSessions
  reauthentication: Reauthentication
  cookies: Cookies
  limits: RateLimits
  clientAddress: ClientAddress
  audit: Audit
  publicUrl: string
  https: boolean
  now: () => number
  metrics: Metrics
}): HttpApp {
  const { provider, transactions, sessions, endSessions, reauthentication, cookies } = options
  const { limits, clientAddress, audit, publicUrl, https, now, metrics } = options
  const signIns = metrics.counter('sign_ins_total', 'Sign-ins by how they ended', ['outcome'])
  const app = new Hono<HttpEnv>()
  /** Where the sign-in of a callback leads: who has to try again is to come there too. */
  const targets = new WeakMap<Request, string>()

  app.get('/auth/login', async (c) => {
    await countRequest(c, 'login')
    const target = returnTo.default('/').safeParse(single(c, 'return_to'))
    if (!target.success) {
      throw bffErrors.returnToRefused('After the sign-in, only a path of this site can be returned to.')
    }
    if (isOtherLoopbackName(c.req.header('host'), publicUrl)) {
      return c.redirect(`${publicUrl}/auth/login?${new URLSearchParams({ return_to: target.data })}`, 303)
    }
    return begin(c, { returnTo: target.data, isReauthentication: false })
  })

  app.get('/callback', async (c) => {
    // Without the cookie of a sign-in it is nobody's who began one, and may be a picture of a browser that sends no
    // Sec-Fetch-Dest: it uses up no callbacks.
    const state = c.req.query('state') ?? ''
    const secret = cookies.signIn(c, state)
    await countRequest(c, secret === undefined ? 'apiAddress' : 'callback')
    for (const name of ['code', 'error', 'iss', 'state', 'error_description', 'response']) single(c, name)
    const signIn = await transactions.take(state, secret).catch((err) => unlessSignedIn(c, err))
    if (!signIn) return c.redirect('/', 303)
    targets.set(c.req.raw, signIn.returnTo)
    cookies.clearSignIn(c, state)
    const askedAtMs = now()
    const { search } = new URL(c.req.url)
    const tokens = await provider
      .finishSignIn(search, { state, ...signIn })
      .catch((err) => unlessSignedIn(c, err))
    if (!tokens) return c.redirect(signIn.returnTo, 303)
    const isSatisfied = await reauthentication.isSatisfied(tokens.identity, askedAtMs)
    if (!isSatisfied) return reauthenticate(c, signIn, tokens)
    // A new id each time, and the old session ends: nobody can plant one (session fixation).
    const formerId = cookies.sessionId(c) ?? ''
    const former = await sessions.load(formerId)
    const { id, session } = await sessions.create(tokens, visitOf(c, clientAddress), signIn.begunAtMs)
    if (former) await endSessions.one(former.session, former.hash)
    else await sessions.discard(formerId)
    cookies.setSessionId(c, id)
    signIns.inc({ outcome: 'signed_in' })
    audit(c, { action: 'sign_in', outcome: 'done', who: session })
    return c.redirect(signIn.returnTo, 303)
  })

  async function begin(
    c: Context<HttpEnv>,
    { returnTo, isReauthentication }: Pick<SignIn, 'returnTo' | 'isReauthentication'>,
  ): Promise<Response> {
    const { state, nonce, codeVerifier, url } = await provider.beginSignIn({ isReauthentication })
    const signIn = { nonce, codeVerifier, returnTo, isReauthentication, begunAtMs: now() }
    const secret = await transactions.begin(state, signIn)
    cookies.setSignIn(c, state, secret, signInSeconds)
    return c.redirect(url, 303)
  }

  /**
   * Behind the first page after a sign-in, the browser's way back leads by the provider, which sends it here again with a
   * sign-in that was used; so does a form that was sent twice. Of a form that another tab has overtaken Keycloak says that its
   * time is over. Who is signed in has nothing to mend.
   */
  async function unlessSignedIn(c: Context<HttpEnv>, err: unknown): Promise<undefined> {
    const isUsed = err instanceof TendonError && err.code === bffErrors.signInExpired.code
    if (!isUsed || !(await sessions.load(cookies.sessionId(c) ?? ''))) throw err
  }

  /** The provider took a session of its own for a sign-in, and that is not enough: it is told to ask for the password. */
  async function reauthenticate(
    c: Context<HttpEnv>,
    signIn: SignIn,
    tokens: IssuedTokens,
  ): Promise<Response> {
    await provider
      .revoke(tokens.refreshToken)
      .catch((err) => requestLog(c).warn({ err }, 'tokens not revoked'))
    if (!signIn.isReauthentication) return begin(c, { ...signIn, isReauthentication: true })
    throw bffErrors.signInFailed('The identity provider did not ask for the password.')
  }

  async function countRequest(c: Context<HttpEnv>, kind: 'login' | 'callback' | 'apiAddress'): Promise<void> {
    // A page elsewhere could use up the sign-ins of everybody at an address with pictures (Fetch Metadata §2.1).
    if ((c.req.header('sec-fetch-dest') ?? 'document') !== 'document') {
      await limits.take('apiAddress', clientAddress(c), () => audit(c, tooManyRequests))
      throw bffErrors.crossSiteRefused(
        'The header Sec-Fetch-Dest says that this is no page that somebody opens.',
      )
    }
    await limits.take(kind, clientAddress(c), () => audit(c, { ...tooManyRequests, action: 'sign_in' }))
  }

  /** The login link of a page that says that a sign-in failed. */
  function loginPath(c: Context<HttpEnv>): string {
    const target = targets.get(c.req.raw) ?? returnTo.safeParse(c.req.query('return_to')).data
    return target && target !== '/'
      ? `/auth/login?${new URLSearchParams({ return_to: target })}`
      : '/auth/login'
  }

  app.onError((err, c) => {
    const isExpected = err instanceof TendonError
    const reason = isExpected ? err.code : 'unexpected'
    signIns.inc({ outcome: reason })
    if (reason !== bffErrors.tooManyRequests.code) {
      // What could not be done for want of the provider or the store says nothing against whoever asked.
      const isRefused = isExpected && err.definition.status !== 503
      audit(c, { action: 'sign_in', outcome: isRefused ? 'refused' : 'failed', reason })
    }
    if (!isExpected) throw err
    requestLog(c)[err.definition.status >= 500 ? 'error' : 'info']({ err }, 'sign-in failed')
    return errorPage(c, err, { https, goOn: { path: loginPath(c), text: 'Try again' } })
  })
  return app
}

/** A parameter that stands once (RFC 6749 §3.1): of two, one reader would take the first and another the last. */
function single(c: Context<HttpEnv>, name: string): string | undefined {
  const values = c.req.queries(name) ?? []
  if (values.length > 1) throw bffErrors.requestInvalid(`query.${name}: stands there more than once.`)
  return values[0]
}
