import { createHttpApp, type HttpApp } from '@tendon/platform/http-app.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import { Pool } from 'undici'
import { createCookies } from './cookies.ts'
import { createInvalidationHub } from './invalidation-hub.ts'
import { createOidcClient } from './oidc-client.ts'
import type { BffConfig } from './options.ts'
import { createRefreshTokens } from './refresh-tokens.ts'
import { reportEvents } from './report-events.ts'
import { reportsGateway } from './reports-gateway.ts'
import { sameSiteOnly } from './same-site-only.ts'
import { neverStored, securityHeaders } from './security-headers.ts'
import { createSessionIndex } from './session-index.ts'
import { sessionRoutes } from './session-routes.ts'
import { createSessionStore } from './session-store.ts'
import { signInRoutes } from './sign-in-routes.ts'
import { createSignInTransactions } from './sign-in-transactions.ts'
import { createStaticFiles } from './static-files.ts'
import { createTokenEncryption } from './token-encryption.ts'

const backchannelLogoutPath = '/auth/backchannel-logout'
const maxAnswerBytes = 1_048_576

export type Bff = {
  app: HttpApp
  start(): Promise<void>
  /** Ends what never ends by itself, so that the server in front can drain. */
  endStreams(): void
  stop(): Promise<void>
}

/**
 * The browser's only origin: sign-in, sessions, and the gateway to the services behind it.
 *
 * @param options.keyValue shared by all instances; sessions and sign-ins under way are kept in it
 * @param options.webRoot folder of the built web application, served to whoever asks
 * @param options.now milliseconds; tests pass their own clock
 */
export function createBff(options: {
  config: BffConfig
  keyValue: KeyValue
  log: Log
  metrics: Metrics
  webRoot?: string | undefined
  now?: () => number
}): Bff {
  const { config, keyValue, log, metrics, webRoot, now = Date.now } = options
  const { publicUrl, sessionMs } = config
  const https = publicUrl.startsWith('https:')
  const homeUrl = `${publicUrl}/`

  const encryption = createTokenEncryption(config.sessionKeys)
  const cookies = createCookies({ secure: https })
  const provider = createOidcClient({
    issuer: config.oidcIssuer,
    internalUrl: config.oidcInternalUrl,
    clientId: config.oidcClientId,
    clientSecret: config.oidcClientSecret,
    redirectUri: `${publicUrl}/callback`,
    postLogoutRedirectUri: homeUrl,
    now,
  })
  const transactions = createSignInTransactions({ keyValue, encryption })
  const index = createSessionIndex({ keyValue, now })
  const sessions = createSessionStore({ keyValue, encryption, index, now })
  const refreshTokens = createRefreshTokens({ sessions, provider, keyValue, now, log, metrics })
  const upstream = new Pool(new URL(config.reportsServiceUrl).origin, {
    headersTimeout: config.reportsTimeoutMs,
    bodyTimeout: config.reportsTimeoutMs,
    maxResponseSize: maxAnswerBytes,
  })
  const staticFiles = createStaticFiles(webRoot)
  const hub = createInvalidationHub({ keyValue, log })
  const events = reportEvents({
    hub,
    sessions,
    cookies,
    metrics,
    heartbeatMs: config.eventHeartbeatMs,
  })

  const app = createHttpApp({ log, metrics, ready: () => keyValue.check() })
  const cdnOrigin = config.cdnBaseUrl && new URL(config.cdnBaseUrl).origin
  app.use(securityHeaders({ https, cdnOrigin }))
  for (const path of ['/auth/*', '/callback', '/api/*']) app.use(path, neverStored)
  app.use(sameSiteOnly({ origin: publicUrl, except: [backchannelLogoutPath] }))
  app.route('/', signInRoutes({ provider, transactions, sessions, cookies, sessionMs, now, metrics }))
  app.route('/', sessionRoutes({ provider, sessions, index, cookies, homeUrl, log }))
  app.route('/', events.app)
  app.route('/', reportsGateway({ upstream, sessions, refreshTokens, cookies }))
  app.route('/', staticFiles.app)

  return {
    app,
    async start() {
      await staticFiles.load()
      hub.start()
    },
    endStreams: events.end,
    async stop() {
      await hub.stop()
      // The HTTP server in front has drained by now: nobody waits for what is still under way.
      await upstream.destroy()
    },
  }
}
