import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { openRedis } from '@tendon/platform/redis-connection.ts'
import {
  startRedisCluster,
  startRedisServer,
  startRedisWithSentinel,
} from '@tendon/platform/test-redis-server.fixture.ts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import type { EmbeddedTestProvider } from '../fixtures/test-provider-embedded.fixture.ts'
import { cookieOf, csrf } from '../fixtures/test-sessions.fixture.ts'
import { eventuallyMs, startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'
import { rateLimitsSuite } from '../protection/rate-limits.suite.ts'

const log = createLog({ service: 'test', level: 'fatal' })
let url: string
let redis: Awaited<ReturnType<typeof startRedisServer>>
beforeAll(async () => {
  redis = await startRedisServer()
  url = redis.url
})
afterAll(() => redis?.stop())

const commandTimeoutMs = 500
const store = {
  openKeyValue: () => createRedisKeyValue({ url, log, commandTimeoutMs }),
  openRedis: () => openRedis({ url, log, commandTimeoutMs }),
}
// Counted by address, and all tests have one: each needs a Redis that has counted nothing.
rateLimitsSuite('all instances together, in Redis', {
  openKeyValue: store.openKeyValue,
  openRedis: () => {
    const client = openRedis({ url, log, commandTimeoutMs: 5_000 })
    client.once('ready', () => void client.flushdb())
    return client
  },
  isShared: true,
})

async function signedIn(stack: TestStack<EmbeddedTestProvider>): Promise<() => Promise<Response>> {
  const browser = new TestBrowser()
  const end = await browser.signIn(stack.loginUrl, 'alice')
  const session = browser.cookie('session_id')
  expect(session, end.text).toBeDefined()
  return () => fetch(`${stack.url}/api/reports`, { headers: { cookie: `session_id=${session!.value}` } })
}

test('while Redis is away the answer is 503, and when it is back the session goes on without a restart', async () => {
  const stack = await startTestStack(store)
  try {
    const ask = await signedIn(stack)
    expect((await ask()).status).toBe(200)
    await redis.pause()
    const answer = await ask()
    expect([answer.status, (await answer.json()).code]).toEqual([503, 'TENDON-PLATFORM-012'])
    expect(answer.headers.get('retry-after')).toBe('2')
    const page = await new TestBrowser().request(stack.loginUrl)
    expect([page.status, page.headers.get('content-type')]).toEqual([
      503,
      expect.stringContaining('text/html'),
    ])
    // By now it is known to hang: few still wait for an answer.
    const startedMs = performance.now()
    for (let count = 0; count < 10; count += 1) expect((await ask()).status).toBe(503)
    expect(performance.now() - startedMs).toBeLessThan(5 * commandTimeoutMs)
    await redis.resume()
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), eventuallyMs)
  } finally {
    await stack.stop()
  }
})

test('while Redis is away each instance counts for itself', async () => {
  const stack = await startTestStack({ ...store, config: { loginsPerMinute: 3 } })
  try {
    const { server: second } = await stack.startBff()
    await redis.pause()
    const begin = async (url: string) => (await new TestBrowser().request(`${url}/auth/login`)).status
    for (const url of [stack.url, second.url]) {
      const statuses: number[] = []
      for (let count = 0; count < 5; count += 1) statuses.push(await begin(url))
      // What cannot be kept is not begun; and what is too much is not even tried.
      expect(statuses).toEqual([503, 503, 503, 429, 429])
    }
  } finally {
    await redis.resume()
    await Promise.all(stack.bffs.map(({ keyValue }) => vi.waitFor(() => keyValue.check(), eventuallyMs)))
    await stack.stop()
  }
})

test('tokens that come while Redis is away are not lost', async () => {
  const stack = await startTestStack({ ...store, refreshTiming: { leaseMs: 20_000, requestTimeoutMs: 300 } })
  try {
    const ask = await signedIn(stack)
    stack.clock.skewMs = 301_000
    stack.hooks.beforeWrite = async (key) => {
      if (!key.startsWith('tendon:session:')) return
      stack.hooks.beforeWrite = undefined
      await redis.pause()
    }
    expect((await ask()).status).toBe(503)
    await redis.resume()
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), {
      timeout: eventuallyMs,
      interval: 300,
    })
    expect([
      stack.tokenCalls('issued', 'refresh_token'),
      stack.tokenCalls('refused', 'refresh_token'),
    ]).toEqual([1, 0])
  } finally {
    await stack.stop()
  }
})

test('everything that is kept has an end', async () => {
  const stack = await startTestStack(store)
  try {
    const ask = await signedIn(stack)
    stack.clock.skewMs = 301_000
    await ask()
    const staff = new TestBrowser()
    await staff.signIn(stack.loginUrl, 'staff')
    const revoked = await staff.request(`${stack.url}/auth/sessions`, { method: 'DELETE', headers: csrf })
    expect(revoked.status).toBe(200)
    await new TestBrowser().request(stack.loginUrl)
    const client = openRedis({ url, log, commandTimeoutMs: 500 })
    await vi.waitFor(() => expect(client.status).toBe('ready'), eventuallyMs)
    const keys = await client.keys('*')
    expect(keys.length).toBeGreaterThan(4)
    for (const kind of [/^tendon:login:/, /^tendon:reauthentication:/, /:ended$/, /^tendon:rate:/])
      expect(keys).toContainEqual(expect.stringMatching(kind))
    for (const key of keys) {
      expect(key).toMatch(/^tendon:/)
      expect(await client.pttl(key), key).toBeGreaterThan(0)
      // A sign-in that was begun and left: half an hour.
      if (key.startsWith('tendon:login:')) expect(await client.pttl(key)).toBeLessThanOrEqual(31 * 60_000)
    }
    client.disconnect()
  } finally {
    await stack.stop()
  }
})

test.each([
  ['a cluster of three', startRedisCluster],
  ['a master that a sentinel names', startRedisWithSentinel],
])('sessions, refreshes and limits are those of all instances in %s', async (_what, start) => {
  await using servers = new AsyncDisposableStack()
  const { url, stop } = await start()
  servers.defer(stop)
  const stack = await startTestStack({
    openKeyValue: () => createRedisKeyValue({ url, log }),
    openRedis: () => openRedis({ url, log, commandTimeoutMs: 2_000 }),
    config: { apiRequestsPerMinute: 20 },
  })
  try {
    const { server: second } = await stack.startBff()
    const browser = new TestBrowser()
    await browser.signIn(stack.loginUrl, 'alice')
    const headers = { ...cookieOf(browser), ...csrf }
    const urls = [stack.url, second.url]
    const ask = async (count: number) => {
      const answers = Array.from({ length: count }, (_, asked) =>
        fetch(`${urls[asked % 2]}/api/reports`, { headers }),
      )
      return (await Promise.all(answers)).map(({ status }) => status)
    }
    stack.clock.skewMs = 301_000
    expect(new Set(await ask(10))).toEqual(new Set([200]))
    expect(stack.tokenCalls('issued', 'refresh_token')).toBe(1)
    expect((await ask(12)).filter((status) => status === 429)).toHaveLength(2)
    expect((await fetch(`${second.url}/auth/logout`, { method: 'POST', headers })).status).toBe(200)
    expect(new Set(await ask(2))).toEqual(new Set([401]))
  } finally {
    await stack.stop()
  }
})
