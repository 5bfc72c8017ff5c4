import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { TestBrowser } from '@tendon/bff/fixtures/test-browser.fixture.ts'
import { createIdentityProvider } from '@tendon/bff/identity-provider/identity-provider.ts'
import { freePort } from '@tendon/platform/free-port.ts'
import { createLog } from '@tendon/platform/log.ts'
import { startRedisServer } from '@tendon/platform/test-redis-server.fixture.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import type { BenchContext } from './bench-case.ts'
import { oauth2Proxy } from './oauth2-proxy.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))
const secrets = { bff: 'secret-of-the-bff', peer: 'secret-of-the-peer' }
const manyRequests = '1000000000'

/** A gateway that runs, in a process of its own, and the cookies of the sessions that are open there. */
export type Gateway = { name: string; pid: number; url: string; cookies: string[] }

const sessions = 32

/** What stands behind both: 5 KB of JSON at every address, and an answer that never ends at one. */
const report = JSON.stringify({
  reports: Array.from({ length: 40 }, (_, index) => ({ name: `report-${index}`, title: 'x'.repeat(80) })),
})
export const endlessPath = '/api/reports/endless/2026-01-01'

/**
 * The bff and oauth2-proxy with sessions in the same Redis, one provider and one upstream, each writing a line a request
 * into a file.
 */
export async function openGatewayWorld({ scope }: BenchContext) {
  const folder = scope.temporaryFolder()
  const redis = await startRedisServer()
  scope.defer(() => redis.stop())
  const open = new Set<unknown>()
  const upstream = await listen(scope, (request, response) => {
    open.add(response)
    response.once('close', () => open.delete(response))
    response.setHeader('content-type', 'application/json')
    if (request.url?.includes('endless')) response.write('{"begun":')
    else response.end(report)
  })
  const [bffPort, peerPort] = [await freePort('127.0.0.1'), await freePort('127.0.0.1')]
  const [bffUrl, peerUrl] = [`http://127.0.0.1:${bffPort}`, `http://127.0.0.1:${peerPort}`]
  const issuer = await openProvider(scope, join(folder, 'identity'), { bffUrl, peerUrl })

  const run = (name: string, program: string, args: string[], env: Record<string, string>): ChildProcess => {
    const log = openSync(join(folder, `${name}.log`), 'a')
    const child = spawn(program, args, {
      cwd: repository,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    })
    scope.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    })
    return child
  }
  const bff = run('bff', process.execPath, ['bff/main.ts'], {
    PORT: String(bffPort),
    OPERATIONS_PORT: '0',
    PUBLIC_URL: bffUrl,
    OIDC_ISSUER: issuer,
    OIDC_CLIENT_SECRET: secrets.bff,
    REPORTS_SERVICE_URL: upstream.url,
    SESSION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    REDIS_URL: redis.url,
    LOGINS_PER_MINUTE: manyRequests,
    API_REQUESTS_PER_MINUTE: manyRequests,
    API_REQUESTS_PER_MINUTE_PER_ADDRESS: manyRequests,
  })
  const peer = run(
    'oauth2-proxy',
    oauth2Proxy(),
    peerArguments({ peerPort, peerUrl, issuer, redisUrl: redis.url, upstreamUrl: upstream.url }),
    {},
  )
  const gateways: Gateway[] = [
    {
      name: 'bff',
      pid: bff.pid!,
      url: bffUrl,
      cookies: await signIn(`${bffUrl}/healthz`, `${bffUrl}/auth/login`, ['session_id']),
    },
    {
      name: 'oauth2-proxy',
      pid: peer.pid!,
      url: peerUrl,
      cookies: await signIn(`${peerUrl}/ping`, `${peerUrl}/oauth2/start?rd=/api/reports`, ['_oauth2_proxy']),
    },
  ]
  return { redis, gateways, bff: gateways[0]!, peer: gateways[1]!, openAtUpstream: () => open.size }
}

function peerArguments(at: {
  peerPort: number
  peerUrl: string
  issuer: string
  redisUrl: string
  upstreamUrl: string
}): string[] {
  const { peerPort, peerUrl, issuer, redisUrl, upstreamUrl } = at
  return [
    `--http-address=127.0.0.1:${peerPort}`,
    '--provider=oidc',
    `--oidc-issuer-url=${issuer}`,
    '--client-id=oauth2-proxy',
    `--client-secret=${secrets.peer}`,
    `--redirect-url=${peerUrl}/oauth2/callback`,
    '--code-challenge-method=S256',
    '--scope=openid profile email',
    '--email-domain=*',
    '--insecure-oidc-allow-unverified-email=true',
    '--oidc-groups-claim=roles',
    `--cookie-secret=${randomBytes(32).toString('base64url').slice(0, 32)}`,
    '--cookie-secure=false',
    '--session-store-type=redis',
    `--redis-connection-url=${redisUrl}`,
    `--upstream=${upstreamUrl}/`,
    '--pass-access-token=true',
    '--skip-provider-button=true',
    '--request-logging=true',
    '--auth-logging=true',
  ]
}

async function openProvider(
  scope: BenchContext['scope'],
  dataPath: string,
  at: { bffUrl: string; peerUrl: string },
): Promise<string> {
  const late: { handler?: RequestListener } = {}
  const { url } = await listen(scope, (request, response) => late.handler?.(request, response))
  const provider = createIdentityProvider({
    issuer: `${url}/idp`,
    dataPath,
    clients: [
      {
        clientId: 'bff',
        clientSecret: secrets.bff,
        redirectUris: [`${at.bffUrl}/callback`],
        postLogoutRedirectUris: [],
      },
      {
        clientId: 'oauth2-proxy',
        clientSecret: secrets.peer,
        redirectUris: [`${at.peerUrl}/oauth2/callback`],
        postLogoutRedirectUris: [],
      },
    ],
    people: (['alice', 'bob'] as const).map((username) => ({
      username,
      password: username,
      name: demoPeople[username].fullName,
      email: demoPeople[username].email,
      customerId: demoPeople[username].customerId,
      roles: ['patient'],
    })),
    log: createLog({ service: 'bench', level: 'fatal' }),
    demoPasswordsShown: false,
  })
  await provider.start()
  scope.defer(() => provider.stop())
  late.handler = provider.handler
  return `${url}/idp`
}

/** Waits until the gateway answers, and signs alice in from many browsers. @returns the cookies of each */
async function signIn(healthUrl: string, loginUrl: string, names: string[]): Promise<string[]> {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(healthUrl).catch(() => undefined)
    if (response?.ok) break
    if (attempt > 200) throw new Error(`${healthUrl} does not answer`)
    await delay(50)
  }
  const cookies: string[] = []
  while (cookies.length < sessions) cookies.push(await signInOnce(loginUrl, names))
  return cookies
}

async function signInOnce(loginUrl: string, names: string[]): Promise<string> {
  const browser = new TestBrowser()
  const page = await browser.signIn(loginUrl, 'alice')
  const cookies = [...browser.cookies.values()].filter(({ name }) => names.includes(name))
  if (cookies.length === 0)
    throw new Error(`no session after ${loginUrl}: ${page.status} ${page.text.slice(0, 300)}`)
  return cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
}

async function listen(
  scope: BenchContext['scope'],
  listener: RequestListener,
): Promise<{ url: string; server: Server }> {
  const server = createServer(listener)
  // Neither gateway's connections may be closed in the middle of a run.
  server.keepAliveTimeout = 600_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.defer(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}
