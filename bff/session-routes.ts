import type { SessionUser } from '@tendon/contracts/session-api.ts'
import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import type { Log } from '@tendon/platform/log.ts'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Cookies } from './cookies.ts'
import { bffErrors } from './errors.ts'
import type { OidcClient } from './oidc-client.ts'
import type { SessionIndex } from './session-index.ts'
import type { Session, SessionStore } from './session-store.ts'

const maxLogoutTokenBytes = 16_384

/** `GET /auth/me`, `POST /auth/logout`, `POST /auth/backchannel-logout`: who is signed in, and how that ends. */
export function sessionRoutes(options: {
  provider: OidcClient
  sessions: SessionStore
  index: SessionIndex
  cookies: Cookies
  /** Where the browser goes after a sign-out that the provider has no part in. */
  homeUrl: string
  log: Log
}): HttpApp {
  const { provider, sessions, index, cookies, homeUrl, log } = options
  const app = new Hono<HttpEnv>()

  app.get('/auth/me', async (c) => {
    const loaded = await sessions.load(cookies.sessionId(c) ?? '')
    if (!loaded) throw bffErrors.notSignedIn('Nobody is signed in here.')
    const user: SessionUser = loaded.session.user
    return c.json(user)
  })

  // The session is gone before the provider is asked anything, so that signing out works without it.
  app.post('/auth/logout', async (c) => {
    const loaded = await sessions.load(cookies.sessionId(c) ?? '')
    cookies.clearSessionId(c)
    if (!loaded) return c.json({ logout_url: homeUrl })
    await sessions.end(loaded.hash)
    return c.json({ logout_url: await endAtProvider(loaded.session) })
  })

  app.post('/auth/backchannel-logout', bodyLimit({ maxSize: maxLogoutTokenBytes }), async (c) => {
    const { logout_token: token } = await c.req.parseBody()
    if (typeof token !== 'string') throw bffErrors.logoutTokenRefused('There is no logout_token in the body.')
    const named = await provider.verifyLogoutToken(token).catch((err) => {
      c.get('log').warn({ err }, 'logout token refused')
      throw err
    })
    const ended = await index.take(named)
    for (const hash of ended) await sessions.end(hash)
    c.get('log').info({ sessions: ended.length }, 'signed out by the identity provider')
    return c.body(null, 200)
  })

  /** Ends the tokens at the provider, and says where the browser ends its session there. */
  async function endAtProvider(session: Session): Promise<string> {
    const [url, revoked] = await Promise.allSettled([
      provider.logoutUrl(session.providerSessionId),
      provider.revoke(session.refreshToken),
    ])
    if (revoked.status === 'rejected') log.warn({ err: revoked.reason }, 'tokens not revoked')
    return url.status === 'fulfilled' ? url.value : homeUrl
  }

  return app
}
