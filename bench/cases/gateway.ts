import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { TestBrowser } from '@tendon/bff/fixtures/test-browser.fixture.ts'
import type { IssuedTokens } from '@tendon/bff/relying-party/issued-tokens.ts'
import { createEndSessions } from '@tendon/bff/sessions/end-sessions.ts'
import { createSessionIndex } from '@tendon/bff/sessions/session-index.ts'
import { createSessionStore } from '@tendon/bff/sessions/session-store.ts'
import { createTokenEncryption } from '@tendon/bff/sessions/token-encryption.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { openRedis } from '@tendon/platform/redis-connection.ts'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { endlessPath, type Gateway, openGatewayWorld } from '../gateway-world.ts'
import { oauth2ProxyVersion } from '../oauth2-proxy.ts'
import { pssBytes, treeCpuSeconds } from '../processes.ts'
import { type Measurement, measured, measuredRepeatedly } from '../results.ts'

const rounds = 21
const roundSeconds = 2
const warmUpSeconds = 10
const connections = 32
const signIns = 200
const storedSessions = 100_000
const disconnects = 1_000

/** As a browser sends them. */
const browserHeaders = {
  accept: 'application/json',
  'accept-language': 'en-GB,en;q=0.9,da;q=0.8',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'user-agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'sec-ch-ua': '"Chromium";v="142", "Not_A Brand";v="99"',
  'sec-ch-ua-mobile': '?0',
  'sec-ch-ua-platform': '"Linux"',
  'sec-fetch-dest': 'empty',
  'sec-fetch-mode': 'cors',
  'sec-fetch-site': 'same-origin',
  referer: 'http://127.0.0.1/',
  priority: 'u=1, i',
}

export const gatewayCase: BenchCase = {
  name: 'gateway',
  title:
    'an authenticated GET through the bff and through oauth2-proxy, sign-ins, sessions, and browsers that leave',
  timeoutMs: 600_000,
  run: measureGateway,
}

async function measureGateway(context: BenchContext) {
  const world = await openGatewayWorld(context)
  return {
    measurements: [
      ...(await comparePeers(context, world.gateways)),
      ...(await measureSignIns(context, world.bff)),
      ...(await measureDisconnects(context, world.bff, world.openAtUpstream)),
      ...(await measureSessions(context, world.redis.url)),
    ],
    servers: { 'oauth2-proxy': oauth2ProxyVersion },
  }
}

type Round = { requestsPerSecond: number; cpuSeconds: number; p50Ms: number; p99Ms: number }

/** In turns, so that whatever else the machine does meets both. */
async function comparePeers({ scope, say }: BenchContext, gateways: Gateway[]): Promise<Measurement[]> {
  const folder = scope.temporaryFolder()
  const results = new Map<string, Round[]>(gateways.map(({ name }) => [name, []]))
  for (const gateway of gateways) {
    await writeFile(join(folder, `${gateway.name}.lua`), differentReports(gateway.cookies))
    await load(gateway, folder, warmUpSeconds)
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const gateway of round % 2 ? gateways.toReversed() : gateways) {
      const result = await load(gateway, folder, roundSeconds)
      results.get(gateway.name)!.push(result)
      say(
        `${gateway.name}: ${Math.round(result.requestsPerSecond)} requests/s, ${result.cpuSeconds.toFixed(2)} CPU s, p99 ${result.p99Ms} ms`,
      )
    }
  }
  const [own, peer] = gateways.map(({ name }) => results.get(name)!)
  const ratio = (field: keyof Round) => own!.map((round, index) => round[field] / peer![index]![field])
  return [
    ...gateways.flatMap(({ name }) => describe(name, results.get(name)!)),
    measuredRepeatedly('CPU of the bff, times oauth2-proxy', ratio('cpuSeconds'), '×', { atMost: 0.4 }),
    measuredRepeatedly('p99 of the bff, times oauth2-proxy', ratio('p99Ms'), '×', { atMost: 1 }),
  ]
}

function describe(name: string, results: Round[]): Measurement[] {
  const of = (field: keyof Round) => results.map((round) => round[field])
  return [
    measuredRepeatedly(
      `${name}: requests by ${connections} connections`,
      of('requestsPerSecond'),
      'requests/s',
    ),
    measuredRepeatedly(`${name}: CPU of 10,000 requests`, of('cpuSeconds'), 'CPU s'),
    measuredRepeatedly(`${name}: p50`, of('p50Ms'), 'ms'),
    measuredRepeatedly(`${name}: p99`, of('p99Ms'), 'ms'),
  ]
}

/**
 * Another session each time, and another report: what is asked for at the same time by the same session, the bff would ask
 * for once.
 */
const differentReports = (cookies: string[]) => `
local cookies = { ${cookies.map((cookie) => JSON.stringify(cookie)).join(', ')} }
local count = 0
request = function()
  count = count + 1
  wrk.headers['cookie'] = cookies[count % #cookies + 1]
  return wrk.format('GET', '/api/reports/report-' .. (count % 512) .. '/2026-01-01')
end
`

/** wrk in one thread; it prints its latencies with `--latency`. */
async function load({ name, pid, url }: Gateway, folder: string, seconds: number): Promise<Round> {
  const headers = Object.entries(browserHeaders).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const before = await treeCpuSeconds(pid)
  const { stdout } = await promisify(execFile)('wrk', [
    ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--latency'],
    ...headers,
    ...['-s', join(folder, `${name}.lua`)],
    url,
  ])
  const cpuSeconds = (await treeCpuSeconds(pid)) - before
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1])
  if (!requests || /Non-2xx|Socket errors/.test(stdout))
    throw new Error(`not every request was answered:\n${stdout}`)
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    cpuSeconds: (cpuSeconds / requests) * 10_000,
    p50Ms: milliseconds(stdout, '50%'),
    p99Ms: milliseconds(stdout, '99%'),
  }
}

const perUnit: Record<string, number> = { us: 0.001, ms: 1, s: 1_000 }

function milliseconds(text: string, name: string): number {
  const [, value, unit = ''] = new RegExp(`${name}\\s+([\\d.]+)(us|ms|s)`).exec(text) ?? []
  return Number(value) * perUnit[unit]!
}

/** Whole sign-ins, the provider's part included, which runs in this process: it takes most of them. */
async function measureSignIns({ say }: BenchContext, { pid, url }: Gateway): Promise<Measurement[]> {
  const before = await treeCpuSeconds(pid)
  const startedAt = performance.now()
  let begun = 0
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (begun++ < signIns) {
        const browser = new TestBrowser()
        await browser.signIn(`${url}/auth/login`, 'bob', `${url}/never`)
        if (!browser.cookie('session_id')) throw new Error('a sign-in failed')
      }
    }),
  )
  const seconds = (performance.now() - startedAt) / 1000
  say(`${signIns} sign-ins in ${seconds.toFixed(1)} s`)
  return [
    measured('sign-ins, with the embedded provider beside', signIns / seconds, 'sign-ins/s'),
    measured(
      'CPU of the bff for 1,000 sign-ins',
      (((await treeCpuSeconds(pid)) - before) / signIns) * 1_000,
      'CPU s',
    ),
  ]
}

/** Browsers that leave in the middle of an answer. */
async function measureDisconnects(
  { say }: BenchContext,
  { pid, url, cookies }: Gateway,
  openAtUpstream: () => number,
): Promise<Measurement[]> {
  const [cookie = ''] = cookies
  const leave = () =>
    new Promise<void>((resolve, reject) => {
      const asked = request(
        `${url}${endlessPath}`,
        { headers: { ...browserHeaders, cookie } },
        (response) => {
          response.once('data', () => {
            response.destroy()
            resolve()
          })
        },
      )
      asked.once('error', reject)
      asked.end()
    })
  for (let count = 0; count < 100; count += 1) await leave()
  const before = await pssBytes(pid)
  for (let count = 0; count < disconnects; count += 1) await leave()
  const deadline = performance.now() + 10_000
  while (openAtUpstream() > 0 && performance.now() < deadline) await delay(50)
  const answered = await fetch(`${url}/api/reports`, { headers: { cookie } })
  if (answered.status !== 200)
    throw new Error(`the bff answers ${answered.status} after ${disconnects} disconnects`)
  say(`${disconnects} browsers left in the middle of an answer`)
  return [
    measured(`connections left open after ${disconnects} browsers left`, openAtUpstream(), 'count', {
      atMost: 0,
    }),
    measured('memory that the bff grew by meanwhile', ((await pssBytes(pid)) - before) / 1e6, 'MB'),
  ]
}

/** Sessions as the bff stores them, each somebody else's, with tokens of the size of Keycloak's. */
async function measureSessions({ scope, log, say }: BenchContext, url: string): Promise<Measurement[]> {
  const keyValue = createRedisKeyValue({ url, log })
  scope.defer(() => keyValue.close())
  const redis = openRedis({ url, log, commandTimeoutMs: 2_000 })
  scope.defer(() => redis.disconnect())
  await once(redis, 'ready')
  const memory = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
  const encryption = createTokenEncryption([{ id: 'k1', key: randomBytes(32) }])
  const times = { sessionMs: 3_600_000, now: Date.now }
  const index = createSessionIndex({ keyValue, encryption, ...times })
  const sessions = createSessionStore({
    keyValue,
    encryption,
    index,
    endSessions: createEndSessions({ keyValue, index, log }),
    ...times,
    idleMs: 1_800_000,
  })
  const before = await memory()
  for (let stored = 0; stored < storedSessions; stored += 100) {
    await Promise.all(
      Array.from({ length: 100 }, () =>
        sessions.create(issuedTokens(), { device: 'Chrome on Linux', address: '192.0.2.1' }, Date.now()),
      ),
    )
  }
  const megabytes = ((await memory()) - before) / 1e6
  say(`${storedSessions} sessions take ${megabytes.toFixed(0)} MB`)
  return [measured(`memory of ${storedSessions.toLocaleString('en')} sessions in Redis`, megabytes, 'MB')]
}

function issuedTokens(): IssuedTokens & { identity: NonNullable<IssuedTokens['identity']> } {
  const subject = randomUUID()
  const token = (bytes: number) => randomBytes(bytes).toString('base64url')
  return {
    accessToken: token(900),
    accessTokenExpiresAtMs: Date.now() + 300_000,
    renewAtMs: Date.now() + 270_000,
    refreshToken: token(500),
    issuedAtSeconds: 0,
    idToken: token(800),
    audiences: ['reports-service'],
    identity: {
      sub: subject,
      iat: Math.floor(Date.now() / 1000),
      sid: randomUUID(),
      name: 'Somebody',
      preferred_username: subject,
      roles: ['patient'],
      customer_id: randomUUID(),
    },
  }
}
