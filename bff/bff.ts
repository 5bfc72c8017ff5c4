import { createHttpApp, createOperationsApp, type HttpApp } from '@tendon/platform/http-app.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import type { RedisClient } from '@tendon/platform/redis-connection.ts'
import { createInvalidationHub } from './events/invalidation-hub.ts'
import { reportEvents } from './events/report-events.ts'
import { createGateway } from './gateway/gateway.ts'
import { type GatewayRoute, gatewayRoutes } from './gateway/route-table.ts'
import { openApiRoute } from './openapi.ts'
import type { BffConfig } from './options.ts'
import { createAddressRateLimit } from './protection/address-rate-limit.ts'
import { createAudit } from './protection/audit.ts'
import { createClientAddress } from './protection/client-address.ts'
import { csrfProtection } from './protection/csrf-protection.ts'
import { createRateLimits } from './protection/rate-limits.ts'
import { dataHeaders, securityHeaders } from './protection/security-headers.ts'
import { stalledClients } from './protection/stalled-clients.ts'
import { createOidcClient } from './relying-party/oidc-client.ts'
import { createProviderConnection } from './relying-party/provider-connection.ts'
import { backchannelLogoutPath, backchannelLogoutRoute } from './sessions/backchannel-logout-route.ts'
import { createCookies } from './sessions/cookies.ts'
import { createEndSessions } from './sessions/end-sessions.ts'
import { createRefreshTokens, type RefreshTiming } from './sessions/refresh-tokens.ts'
import { createSessionIndex } from './sessions/session-index.ts'
import { sessionListRoutes } from './sessions/session-list-routes.ts'
import { sessionRoutes } from './sessions/session-routes.ts'
import { createSessionStore } from './sessions/session-store.ts'
import { createFreshen, createNoteUse, createSignedIn } from './sessions/signed-in.ts'
import { createTokenEncryption } from './sessions/token-encryption.ts'
import { createReauthentication } from './sign-in/reauthentication.ts'
import { signInRoutes } from './sign-in/sign-in-routes.ts'
import { createSignInTransactions } from './sign-in/sign-in-transactions.ts'
import { createStaticFiles } from './static-files.ts'

export type Bff = {
  /** What the public reaches. */
  app: HttpApp
  /** `/readyz` and `/metrics`, for a port that it does not reach. */
  operations: HttpApp
  start(): Promise<void>
  /** Ends what never ends by itself, so that the server in front can drain. */
  endStreams(): void
  stop(): Promise<void>
}

/**
 * The browser's only origin: sign-in, sessions, and the gateway to the services behind it.
 *
 * @param options.keyValue shared by all instances; sessions and sign-ins under way are kept in it
 * @param options.redis for the rate limits of all instances together; without it each counts for itself
 * @param options.auditLog where the audit's lines go; to the service's log unless told
 * @param options.webRoot folder of the built web application, served to whoever asks
 * @param options.routes of the gateway; those of the configuration unless told
 * @param options.stallMs how long a client may take nothing of its answer
 * @param options.now milliseconds; tests pass their own clock
 */
export function createBff(options: {
  config: BffConfig
  keyValue: KeyValue
  redis?: RedisClient | undefined
  log: Log
  auditLog?: Log | undefined
  metrics: Metrics
  webRoot?: string | undefined
  routes?: GatewayRoute[] | undefined
  refreshTiming?: RefreshTiming | undefined
  stallMs?: number | undefined
  now?: () => number
}): Bff {
  const { config, keyValue, redis, log, metrics, webRoot, now = Date.now, stallMs = 30_000 } = options
  const { auditLog = log, routes = gatewayRoutes(config) } = options
  const { publicUrl, sessionMs, idleMs } = config
  const https = publicUrl.startsWith('https:')
  const homeUrl = `${publicUrl}/`

  const encryption = createTokenEncryption(config.sessionKeys)
  const cookies = createCookies({ secure: https })
  const clientAddress = createClientAddress(config.trustedProxies)
  const audit = createAudit({ log: auditLog, clientAddress })
  const limits = createRateLimits({ perMinute: ratesOf(config), redis })
  const connection = createProviderConnection({
    issuer: config.oidcIssuer,
    internalUrl: config.oidcInternalUrl,
    clientId: config.oidcClientId,
    clientSecret: config.oidcClientSecret,
  })
  const provider = createOidcClient({
    connection,
    redirectUri: `${publicUrl}/callback`,
    postLogoutRedirectUri: homeUrl,
    now,
  })
  const reauthentication = createReauthentication({ keyValue, now })
  const transactions = createSignInTransactions({ keyValue, encryption })
  const index = createSessionIndex({ keyValue, encryption, sessionMs, now })
  const endSessions = createEndSessions({ keyValue, index, log })
  const sessions = createSessionStore({ keyValue, encryption, index, endSessions, sessionMs, idleMs, now })
  const refreshTokens = createRefreshTokens({
    sessions,
    endSessions,
    provider,
    keyValue,
    now,
    log,
    metrics,
    timing: options.refreshTiming,
  })
  const addressRateLimit = createAddressRateLimit({ limits, clientAddress, cookies, audit })
  const signedIn = createSignedIn({ sessions, cookies, limits, addressRateLimit, audit })
  const freshen = createFreshen({ refreshTokens, audit })
  const noteUse = createNoteUse({ sessions, clientAddress })
  const gateway = createGateway({
    routes,
    sessions,
    signedIn,
    freshen,
    noteUse,
    audit,
    answerHeaders: dataHeaders({ https }),
    now,
    log,
    metrics,
  })
  const staticFiles = createStaticFiles({ webRoot, https })
  const hub = createInvalidationHub({ keyValue, log })
  const events = reportEvents({
    hub,
    sessions,
    signedIn,
    freshen,
    metrics,
    heartbeatMs: config.eventHeartbeatMs,
  })

  const app = createHttpApp({ log, metrics, operations: false })
  // For a load balancer; it says nothing.
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  const cdnOrigin = config.cdnBaseUrl && new URL(config.cdnBaseUrl).origin
  app.use(securityHeaders({ https, cdnOrigin }))
  app.use(stalledClients({ stallMs }))
  app.use(addressRateLimit.countRequest)
  app.use(csrfProtection({ origin: publicUrl, except: [backchannelLogoutPath], addressRateLimit, audit }))
  const about = { signedIn, freshen, noteUse, cookies, limits, clientAddress, audit }
  const parts = { provider, sessions, index, endSessions, ...about }
  app.route('/', signInRoutes({ ...parts, transactions, reauthentication, publicUrl, https, now, metrics }))
  app.route('/', sessionRoutes({ ...parts, reauthentication, homeUrl, log }))
  app.route('/', sessionListRoutes({ ...parts, reauthentication }))
  app.route('/', backchannelLogoutRoute({ ...parts, connection, keyValue }))
  app.route('/', openApiRoute())
  app.route('/', events.app)
  app.route('/', gateway.app)
  app.route('/', staticFiles.app)

  return {
    app,
    operations: createOperationsApp({ log, metrics, ready: () => keyValue.check() }),
    async start() {
      await staticFiles.load()
      hub.start()
    },
    endStreams: events.end,
    // The HTTP server in front has drained by now: nobody waits for what is still under way, but for new tokens.
    async stop() {
      await Promise.all([hub.stop(), refreshTokens.drain()])
      await gateway.close()
    },
  }
}

/** How often more an address may ask with cookies of sessions than without: each session has its own limit. */
const cookieAllowance = 100

function ratesOf(config: BffConfig) {
  const { loginsPerMinute, apiRequestsPerMinute, apiRequestsPerMinutePerAddress } = config
  return {
    login: loginsPerMinute,
    callback: loginsPerMinute,
    apiSession: apiRequestsPerMinute,
    apiAddress: apiRequestsPerMinutePerAddress,
    cookieAddress: apiRequestsPerMinutePerAddress * cookieAllowance,
    signOutAddress: apiRequestsPerMinutePerAddress,
    providerAddress: apiRequestsPerMinutePerAddress,
  }
}
