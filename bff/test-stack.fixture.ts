import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type AccessTokenVerifier, createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { type HttpServer, listen } from '@tendon/platform/http-server.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics, type Metrics } from '@tendon/platform/metrics.ts'
import type { RedisClient } from '@tendon/platform/redis-connection.ts'
import { type Bff, createBff } from './bff.ts'
import { type GatewayRoute, gatewayRoutes } from './gateway/route-table.ts'
import type { BffConfig } from './options.ts'
import type { RefreshTiming } from './refresh-tokens.ts'
import type { TestProvider, TokenCall } from './test-provider.fixture.ts'
import { type EmbeddedTestProvider, openEmbeddedTestProvider } from './test-provider-embedded.fixture.ts'
import { observed, type StoreHooks } from './test-store.fixture.ts'
import { encryptionKeysOption } from './token-encryption.ts'

const oldKey = `old:${Buffer.alloc(32, 1).toString('base64')}`
const newKey = `new:${Buffer.alloc(32, 2).toString('base64')}`
export const sessionKeys = { old: oldKey, rotated: `${newKey},${oldKey}`, lost: newKey }

/** A request as it arrived at the service behind the gateway. */
type UpstreamRequest = { url: string; method: string; headers: IncomingMessage['headers'] }

/** Awaited at these moments: for what is slow, or is held while something else happens. */
type Hooks = StoreHooks & {
  beforeProvider?: ((request: IncomingMessage) => unknown) | undefined
  /** The provider's answers with tokens are lost on their way, with the connection; told of their status. */
  insteadOfTokens?: ((status: number) => void) | undefined
  beforeUpstream?: (() => unknown) | undefined
  /** Answers in the place of the bff, unless it gives nothing. */
  insteadOfBff?: ((request: Request) => Promise<Response> | undefined) | undefined
}

export type StackOptions = {
  /** A connection for each instance to the store that all share; memory unless told. */
  openKeyValue?: (() => KeyValue) | undefined
  /** Where rate limits are counted; in each instance unless told. */
  openRedis?: (() => RedisClient) | undefined
  /** The embedded one unless told. */
  openProvider?: (() => Promise<TestProvider>) | undefined
  /** When browsers know the provider by another origin than it listens on. */
  publicIssuerOrigin?: string
  publicUrl?: string
  config?: Partial<BffConfig>
  refreshTiming?: RefreshTiming
  stallMs?: number
  /** What stands behind the gateway beside the reports. */
  routes?: (upstreamUrl: string) => GatewayRoute[]
  /** Answers in place of the service that checks tokens. */
  upstream?: RequestListener
}

/** How long a test waits for what must come; long only when it does not, or under load. */
export const eventuallyMs = 20_000

export type TestStack<Provider extends TestProvider = TestProvider> = Awaited<
  ReturnType<typeof startStack<Provider>>
>

/** On the embedded provider, whose own affairs a test may look into. */
export function startTestStack(options: StackOptions = {}): Promise<TestStack<EmbeddedTestProvider>> {
  return startStack(options, (origin, log) => openEmbeddedTestProvider(origin, log))
}

/** On whichever provider a suite is run for. */
export function startSuiteStack(options: StackOptions = {}): Promise<TestStack> {
  const { openProvider } = options
  return startStack<TestProvider>(
    options,
    (origin, log) => openProvider?.() ?? openEmbeddedTestProvider(origin, log),
  )
}

/** A provider, a service that checks tokens by the provider's keys, and any number of bff instances on one store. */
async function startStack<Provider extends TestProvider>(
  options: StackOptions,
  openProvider: (origin: string, log: ReturnType<typeof createLog>) => Promise<Provider>,
) {
  const begun = new AsyncDisposableStack()
  await using ifItFails = new AsyncDisposableStack()
  ifItFails.use(begun)
  const logLines: string[] = []
  const log = createLog({ service: 'bff', level: 'debug' }, { write: (line) => void logLines.push(line) })
  const memory = createMemoryKeyValue()
  const openKeyValue = options.openKeyValue ?? (() => memory)
  const written = new Map<string, string[]>()
  const hooks: Hooks = {}
  const tokenCalls: TokenCall[] = []
  const late: { provider?: Provider } = {}
  const providerServer = await listenOn(
    createServer(async (request, response) => {
      const { provider } = late
      const isToken = request.url === provider?.tokenPath && request.method === 'POST'
      const body = isToken ? copyBody(request) : undefined
      await hooks.beforeProvider?.(request)
      response.once('finish', async () => {
        const grantType = new URLSearchParams(await body).get('grant_type') ?? ''
        if (isToken) tokenCalls.push({ grantType, status: response.statusCode })
      })
      if (!provider) return response.writeHead(503).end()
      const { insteadOfTokens } = hooks
      if (isToken && insteadOfTokens) loseAnswer(response, insteadOfTokens)
      try {
        await provider.handler(request, response)
      } catch (error) {
        // Whoever asked has given up, as the BFF does with a provider that hangs: nobody is there to be answered.
        if (!response.destroyed) throw error
      }
    }),
    begun,
  )
  const provider = await openProvider(options.publicIssuerOrigin ?? providerServer.url, log)
  late.provider = provider
  begun.defer(() => provider.close())
  const { issuer } = provider

  const upstreamRequests: UpstreamRequest[] = []
  const verify = createAccessTokenVerifier({
    issuer,
    audience: 'reports-service',
    internalUrl: providerServer.url,
  })
  const answer = options.upstream ?? checkingService(verify, hooks)
  const upstream = await listenOn(
    createServer((request, response) => {
      upstreamRequests.push({
        url: request.url ?? '',
        method: request.method ?? '',
        headers: request.headers,
      })
      answer(request, response)
    }),
    begun,
  )

  const bffs: { bff: Bff; server: HttpServer; url: string; metrics: Metrics; keyValue: KeyValue }[] = []
  const clock = { skewMs: 0 }

  /** Another instance on the same store. */
  async function startBff(overrides: { sessionKeys?: string; clientSecret?: string; webRoot?: string } = {}) {
    const keyValue = openKeyValue()
    const redis = options.openRedis?.()
    begun.defer(async () => {
      for (const key of written.keys()) await keyValue.delete(key)
      await keyValue.close()
      redis?.disconnect()
    })
    if (redis) await once(redis, 'ready')
    const lateBff: { bff?: Bff } = {}
    begun.defer(async () => lateBff.bff?.stop())
    const server = await listen(
      {
        fetch: (request, env, ctx) =>
          hooks.insteadOfBff?.(request) ?? lateBff.bff!.app.fetch(request, env, ctx),
      },
      { port: 0, log },
    )
    begun.defer(() => server.close())
    const url = options.publicUrl ?? bffs[0]?.url ?? server.url
    const metrics = createMetrics('bff')
    const config: BffConfig = {
      publicUrl: url,
      oidcIssuer: issuer,
      oidcInternalUrl: providerServer.url,
      oidcClientId: provider.clientId,
      oidcClientSecret: overrides.clientSecret ?? provider.clientSecret,
      reportsServiceUrl: [upstream.url],
      reportsTimeoutMs: 15_000,
      cdnBaseUrl: undefined,
      eventHeartbeatMs: 100,
      sessionKeys: encryptionKeysOption.parse(overrides.sessionKeys ?? sessionKeys.old),
      sessionMs: 3_600_000,
      idleMs: 1_800_000,
      trustedProxies: [],
      loginsPerMinute: 1_000_000,
      apiRequestsPerMinute: 1_000_000,
      apiRequestsPerMinutePerAddress: 1_000_000,
      ...options.config,
    }
    const bff = createBff({
      config,
      keyValue: observed(keyValue, written, hooks),
      redis,
      log,
      metrics,
      webRoot: overrides.webRoot,
      routes: [...gatewayRoutes(config), ...(options.routes?.(upstream.url) ?? [])],
      refreshTiming: options.refreshTiming,
      stallMs: options.stallMs,
      now: () => Date.now() + clock.skewMs,
    })
    lateBff.bff = bff
    await bff.start()
    const instance = { bff, server, url, metrics, keyValue }
    bffs.push(instance)
    return instance
  }

  const { url, server } = await startBff()
  await provider.register({ url, backchannelUrl: server.url })

  ifItFails.move()
  return {
    url,
    loginUrl: `${url}/auth/login`,
    issuer,
    provider,
    providerUrl: providerServer.url,
    upstream,
    upstreamRequests,
    bffs,
    startBff,
    hooks,
    clock,
    /** Every key and value that was ever written to the store. */
    written: () => [...written].flat(2),
    logLines,
    /** Lines of the audit log. */
    audited: () => logLines.map((line) => JSON.parse(line)).filter(({ stream }) => stream === 'audit'),
    /** How often the token endpoint gave or refused tokens. */
    tokenCalls: (outcome: 'issued' | 'refused', grantType: string) =>
      tokenCalls.filter(
        (call) => call.grantType === grantType && call.status < 400 === (outcome === 'issued'),
      ).length,
    stop: () => begun.disposeAsync(),
  }
}

function checkingService(verify: AccessTokenVerifier, hooks: Hooks): RequestListener {
  return async (request, response) => {
    await hooks.beforeUpstream?.()
    const caller = await verify(request.headers.authorization).catch(() => undefined)
    response.writeHead(caller ? 200 : 401, { 'content-type': 'application/json', 'set-cookie': 'upstream=1' })
    response.end(JSON.stringify(caller ?? {}))
  }
}

/** Ends the connection at the moment when the answer would leave: whoever answers has done all that it does. */
function loseAnswer(response: ServerResponse, instead: (status: number) => void): void {
  response.write = () => true
  response.end = () => {
    instead(response.statusCode)
    return response.destroy()
  }
}

/** Read beside the provider, which reads it too. */
function copyBody(request: IncomingMessage): Promise<string> {
  const copy = new PassThrough()
  request.on('data', (chunk) => copy.write(chunk)).once('end', () => copy.end())
  request.pause()
  return text(copy)
}

async function listenOn(
  server: Server,
  begun: AsyncDisposableStack,
): Promise<{ url: string; server: Server }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  begun.defer(async () => {
    server.closeAllConnections()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}
