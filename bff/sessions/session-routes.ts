import type { SessionUser } from '@tendon/contracts/session-api.ts'
import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import type { Log } from '@tendon/platform/log.ts'
import { failAfter, within } from '@tendon/platform/within.ts'
import { Hono } from 'hono'
import type { Audit } from '../protection/audit.ts'
import type { OidcClient } from '../relying-party/oidc-client.ts'
import { providerTimeoutMs } from '../relying-party/provider-connection.ts'
import type { Reauthentication } from '../sign-in/reauthentication.ts'
import type { Cookies } from './cookies.ts'
import type { EndSessions } from './end-sessions.ts'
import type { Session } from './session.ts'
import { accountOf } from './session-index.ts'
import type { SessionStore } from './session-store.ts'
import type { Freshen, SignedIn } from './signed-in.ts'

/** `GET /auth/me`, `POST /auth/logout`: who is signed in here, and how that ends. */
export function sessionRoutes(options: {
  provider: OidcClient
  sessions: SessionStore
  endSessions: EndSessions
  reauthentication: Reauthentication
  signedIn: SignedIn
  freshen: Freshen
  cookies: Cookies
  /** Where the browser goes after a sign-out that the provider has no part in. */
  homeUrl: string
  audit: Audit
  log: Log
}): HttpApp {
  const { provider, sessions, endSessions, reauthentication, signedIn, freshen, cookies } = options
  const { homeUrl, audit, log } = options
  const app = new Hono<HttpEnv>()

  // Pages ask this in the background: it does not count as a use, or no session would ever be idle.
  app.get('/auth/me', async (c) => {
    const { session, hash } = await freshen(c, await signedIn(c))
    await sessions.require(hash)
    const user: SessionUser = session.user
    return c.json(user)
  })

  // The session is gone before the provider is asked anything, so that signing out works without it.
  app.post('/auth/logout', async (c) => {
    const id = cookies.sessionId(c) ?? ''
    const loaded = await sessions.load(id)
    cookies.clearSessionId(c)
    if (!loaded) {
      if (await sessions.discard(id)) audit(c, { action: 'sign_out', outcome: 'done' })
      return c.json({ logout_url: homeUrl })
    }
    await endSessions.one(loaded.session, loaded.hash)
    audit(c, { action: 'sign_out', outcome: 'done', who: loaded.session })
    const [logoutUrl, told] = await Promise.all([
      provider.logoutUrl(loaded.session.providerSessionId).catch(() => homeUrl),
      // What its steps may take each would add up; nobody waits for the sum, and they go on.
      within(tellProvider(loaded.session), providerTimeoutMs, failAfter(providerTimeoutMs)).catch(logUntold),
    ])
    if (told !== 'ended') await askNextTime(loaded.session)
    // A provider that does not answer would leave the browser on an error of its own.
    return c.json({ logout_url: told ? logoutUrl : homeUrl })
  })

  /** Ends session and tokens at the provider. */
  async function tellProvider({ idToken, refreshToken }: Session): Promise<'ended' | 'refused'> {
    const [hasEnded] = await Promise.all([
      idToken ? provider.endProviderSession(idToken) : false,
      provider.revoke(refreshToken).catch(logUntold),
    ])
    return hasEnded ? 'ended' : 'refused'
  }

  /** The session that the browser has at the provider must not sign in whoever comes to that browser next. */
  async function askNextTime({ subject }: Session): Promise<void> {
    await reauthentication.require(accountOf(subject)).catch(logUntold)
  }

  function logUntold(err: unknown): void {
    log.warn({ err }, 'the identity provider was not told of a sign-out')
  }

  return app
}
