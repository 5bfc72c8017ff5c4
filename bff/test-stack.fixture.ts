import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type AccessTokenVerifier, createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { type HttpServer, listen } from '@tendon/platform/http-server.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { type Bff, createBff } from './bff.ts'
import { createIdentityProvider, type IdentityProvider } from './identity-provider/identity-provider.ts'
import type { Person } from './identity-provider/people.ts'
import { encryptionKeysOption } from './token-encryption.ts'

const people: Person[] = [
  ...(['alice', 'bob'] as const).map((username) => ({
    username,
    password: username,
    // As it must be escaped on a page.
    name: `${demoPeople[username].fullName} <Patient>`,
    email: demoPeople[username].email,
    customerId: demoPeople[username].customerId,
    roles: ['patient'],
  })),
  {
    username: 'staff',
    password: 'staff',
    name: 'Staff',
    email: 'staff@example.com',
    customerId: null,
    roles: ['report-admin'],
  },
]
export const secrets = { bff: 'secret-of-the-bff', cdc: 'secret-of-cdc' }
const oldKey = `old:${Buffer.alloc(32, 1).toString('base64')}`
const newKey = `new:${Buffer.alloc(32, 2).toString('base64')}`
export const sessionKeys = { old: oldKey, rotated: `${newKey},${oldKey}`, lost: newKey }

/** A request as it arrived at the service behind the gateway. */
type UpstreamRequest = { url: string; headers: IncomingMessage['headers'] }

/** Awaited at these moments: for what is slow, or is held while something else happens. */
type Hooks = {
  beforeProvider?: (request: IncomingMessage) => unknown
  beforeUpstream?: (() => unknown) | undefined
  beforeWrite?: ((key: string) => unknown) | undefined
}

export type TestStack = Awaited<ReturnType<typeof startTestStack>>

/**
 * The embedded provider, a service that checks tokens by the provider's keys, and any number of bff instances on
 * one store, each on a port of its own.
 * @param options.openKeyValue a connection for each instance to the store that all share; memory unless told
 * @param options.publicIssuerOrigin when browsers know the provider by another origin than it listens on
 */
export async function startTestStack(
  options: { publicIssuerOrigin?: string; publicUrl?: string; openKeyValue?: () => KeyValue } = {},
) {
  const dataPath = await mkdtemp(join(tmpdir(), 'tendon-bff-'))
  const closers: (() => Promise<unknown>)[] = [() => rm(dataPath, { recursive: true, force: true })]
  const logLines: string[] = []
  const log = createLog({ service: 'bff', level: 'debug' }, { write: (line) => void logLines.push(line) })
  const memory = createMemoryKeyValue()
  const openKeyValue = options.openKeyValue ?? (() => memory)
  const written: string[] = []
  let provider: IdentityProvider | undefined
  const hooks: Hooks = {}
  const providerServer = await listenOn(
    createServer(async (request, response) => {
      await hooks.beforeProvider?.(request)
      if (provider) await provider.handler(request, response)
      else response.writeHead(503).end()
    }),
    closers,
  )
  const issuer = `${options.publicIssuerOrigin ?? providerServer.url}/idp`

  const upstreamRequests: UpstreamRequest[] = []
  const verify = createAccessTokenVerifier({
    issuer,
    audience: 'reports-service',
    internalUrl: providerServer.url,
  })
  const upstream = await listenOn(createUpstream(verify, upstreamRequests, hooks), closers)

  const bffs: { bff: Bff; server: HttpServer; url: string }[] = []
  const clock = { skewMs: 0 }

  /** Another instance on the same store. */
  async function startBff(overrides: { sessionKeys?: string; webRoot?: string } = {}) {
    const late: { app?: Bff['app'] } = {}
    const server = await listen(
      { fetch: (request, env, ctx) => late.app!.fetch(request, env, ctx) },
      { port: 0, log },
    )
    const url = options.publicUrl ?? bffs[0]?.url ?? server.url
    const keyValue = openKeyValue()
    const bff = createBff({
      config: {
        publicUrl: url,
        oidcIssuer: issuer,
        oidcInternalUrl: options.publicIssuerOrigin && providerServer.url,
        oidcClientId: 'bff',
        oidcClientSecret: secrets.bff,
        reportsServiceUrl: upstream.url,
        reportsTimeoutMs: 1_000,
        cdnBaseUrl: undefined,
        eventHeartbeatMs: 100,
        sessionKeys: encryptionKeysOption.parse(overrides.sessionKeys ?? sessionKeys.old),
        sessionMs: 3_600_000,
      },
      keyValue: recordWrites(keyValue, written, hooks),
      log,
      metrics: createMetrics('bff'),
      webRoot: overrides.webRoot,
      now: () => Date.now() + clock.skewMs,
    })
    late.app = bff.app
    await bff.start()
    const instance = { bff, server, url }
    bffs.push(instance)
    closers.push(
      () => keyValue.close(),
      () => bff.stop(),
      () => server.close(),
    )
    return instance
  }

  async function startProvider(
    overrides: { people?: Person[]; demoPasswordsShown?: boolean } = {},
  ): Promise<void> {
    const { url } = bffs[0]!
    provider = createIdentityProvider({
      issuer,
      dataPath,
      clients: [
        {
          clientId: 'bff',
          clientSecret: secrets.bff,
          redirectUris: [`${url}/callback`],
          postLogoutRedirectUris: [`${url}/`],
          backchannelLogoutUri: `${bffs[0]!.server.url}/auth/backchannel-logout`,
        },
        { clientId: 'tendon-cdc', clientSecret: secrets.cdc, roles: ['report-invalidator'] },
      ],
      people: overrides.people ?? people,
      log,
      demoPasswordsShown: overrides.demoPasswordsShown ?? true,
    })
    await provider.start()
  }

  async function stopProvider(): Promise<void> {
    await provider?.stop()
  }

  const { url } = await startBff()
  await startProvider()

  return {
    url,
    loginUrl: `${url}/auth/login`,
    issuer,
    providerUrl: providerServer.url,
    upstream,
    upstreamRequests,
    bffs,
    startBff,
    startProvider,
    stopProvider,
    hooks,
    clock,
    /** Every value that was ever written to the store. */
    written,
    logLines,
    /** What the provider says it issued or refused, by grant type. */
    grants: (message: string, grantType: string) =>
      logLines
        .map((line) => JSON.parse(line))
        .filter((line) => line.msg === message && line.grant_type === grantType).length,
    /** The refresh tokens that the provider knows, read from its file: there a record's id is the token. */
    refreshTokens(): string[] {
      const database = new DatabaseSync(join(dataPath, 'identity-provider.sqlite'), { readOnly: true })
      const rows = database.prepare("SELECT id FROM record WHERE model = 'RefreshToken'").all()
      database.close()
      return rows.map(({ id }) => String(id))
    },
    async stop() {
      await stopProvider()
      for (const close of closers.reverse()) await close()
    },
  }
}

function createUpstream(verify: AccessTokenVerifier, requests: UpstreamRequest[], hooks: Hooks): Server {
  return createServer(async (request, response) => {
    requests.push({ url: request.url ?? '', headers: request.headers })
    await hooks.beforeUpstream?.()
    const caller = await verify(request.headers.authorization).catch(() => undefined)
    response.writeHead(caller ? 200 : 401, { 'content-type': 'application/json', 'set-cookie': 'upstream=1' })
    response.end(JSON.stringify(caller ?? {}))
  })
}

async function listenOn(
  server: Server,
  closers: (() => Promise<unknown>)[],
): Promise<{ url: string; server: Server }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

/** The same store, whose written values are kept for looking at. */
function recordWrites(keyValue: KeyValue, written: string[], hooks: Hooks): KeyValue {
  return {
    ...keyValue,
    async set(key, value, options) {
      written.push(key, value)
      await hooks.beforeWrite?.(key)
      return keyValue.set(key, value, options)
    },
    async replace(key, expected, value, options) {
      written.push(key, value)
      await hooks.beforeWrite?.(key)
      return keyValue.replace(key, expected, value, options)
    },
  }
}
