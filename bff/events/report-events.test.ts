import { randomUUID } from 'node:crypto'
import { generationKeyPrefix, invalidationsChannel } from '@tendon/contracts/invalidations.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { openEventStream } from '../fixtures/test-event-stream.fixture.ts'
import { eventuallyMs, startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

const { alice, bob } = demoPeople
const memory = createMemoryKeyValue()
const resumed: (() => void)[] = []
let isAway = false
/** The store, of which a test can say that its connections were lost for a while: two, that come back on their own. */
const keyValue: KeyValue = {
  ...memory,
  async get(key) {
    if (isAway) throw new Error('the store is away')
    return memory.get(key)
  },
  subscribe(channel, listener) {
    resumed.push(listener.onResume)
    return memory.subscribe(channel, listener)
  },
}

let stack: TestStack
const cookies = { alice: '', bob: '', staff: '' }
beforeAll(async () => {
  stack = await startTestStack({ openKeyValue: () => keyValue })
  for (const person of ['alice', 'bob', 'staff'] as const) cookies[person] = await signIn(person)
})
afterAll(() => stack?.stop())

async function signIn(person: string): Promise<string> {
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, person)
  return `session_id=${browser.cookie('session_id')!.value}`
}

/** As reports-service does, with the message lost when told so. */
async function invalidate(userIds: string[], options: { isLost?: boolean } = {}): Promise<string> {
  const generation = randomUUID().replaceAll('-', '')
  for (const id of userIds) await memory.set(generationKeyPrefix + id, generation)
  const message = JSON.stringify(userIds.map((id) => [id, generation]))
  if (!options.isLost) await memory.publish(invalidationsChannel, [message])
  return generation
}

async function open(cookie: string, options: { lastEventId?: string; query?: string } = {}) {
  const { lastEventId, query = '' } = options
  const stream = await openEventStream(`${stack.url}/api/events${query}`, {
    cookie,
    ...(lastEventId && { 'last-event-id': lastEventId }),
  })
  onTestFinished(stream.close)
  return stream
}
const untilEvents = async (stream: Awaited<ReturnType<typeof open>>, ...ids: string[]) => {
  await vi.waitFor(() => expect(stream.events.map(({ id }) => id)).toEqual(ids), eventuallyMs)
  return stream.events
}

test('says what concerns whoever is signed in, and staff what they ask for; nobody else hears it', async () => {
  const before = await invalidate([alice.customerId, bob.customerId])
  const alices = await open(cookies.alice)
  const staffs = await open(cookies.staff, { query: `?user_id=${alice.customerId}` })
  const bobs = await open(cookies.bob)
  for (const stream of [alices, staffs, bobs]) await untilEvents(stream, before)
  expect(alices.response.headers.get('content-type')).toBe('text/event-stream')
  expect(alices.response.headers.get('cache-control')).toBe('no-store')
  expect(alices.response.headers.get('x-accel-buffering')).toBe('no')

  const after = await invalidate([randomUUID(), alice.customerId])
  const event = { event: 'invalidated', id: after, data: JSON.stringify({ user_id: alice.customerId }) }
  for (const stream of [alices, staffs]) {
    expect(await untilEvents(stream, before, after)).toEqual([
      { event: 'ready', id: before, data: '{}' },
      event,
    ])
  }
  const bobsNext = await invalidate([bob.customerId])
  await untilEvents(bobs, before, bobsNext)
})

test('whoever has a customer id in capitals in the directory hears of it all the same', async () => {
  const customerId = randomUUID()
  const username = await stack.provider.createPerson(['patient'], customerId.toUpperCase())
  const before = await invalidate([customerId])
  const stream = await open(await signIn(username))
  await untilEvents(stream, before)
  await untilEvents(stream, before, await invalidate([customerId]))
})

test('who comes back hears at once of what was missed, and of nothing otherwise', async () => {
  const before = await invalidate([alice.customerId])
  const first = await open(cookies.alice)
  await untilEvents(first, before)
  first.close()
  await first.ended
  const unchanged = await open(cookies.alice, { lastEventId: before })
  expect(await untilEvents(unchanged, before)).toMatchObject([{ event: 'ready' }])
  const missed = await invalidate([alice.customerId], { isLost: true })
  const changed = await open(cookies.alice, { lastEventId: before })
  expect(await untilEvents(changed, missed)).toMatchObject([{ event: 'invalidated' }])
  // A store that was emptied has no generation: that is another state as well.
  await memory.delete(generationKeyPrefix + alice.customerId)
  const emptied = await open(cookies.alice, { lastEventId: missed })
  expect(await untilEvents(emptied, 'none')).toMatchObject([{ event: 'invalidated' }])
})

test('what an instance missed while its store was away, it finds by comparing', async () => {
  const before = await invalidate([alice.customerId, bob.customerId])
  const alices = await open(cookies.alice)
  const bobs = await open(cookies.bob)
  for (const stream of [alices, bobs]) await untilEvents(stream, before)
  const missed = await invalidate([alice.customerId], { isLost: true })
  for (const resume of resumed) resume()
  await untilEvents(alices, before, missed)
  expect(bobs.events).toHaveLength(1)

  const missedAgain = await invalidate([alice.customerId], { isLost: true })
  isAway = true
  for (const resume of resumed) resume()
  await new Promise(setImmediate)
  isAway = false
  await untilEvents(alices, before, missed, missedAgain)
})

test('says that it is there while there is nothing to say, and ends with the session', async () => {
  const cookie = await signIn('alice')
  const stream = await open(cookie)
  await vi.waitFor(() => expect(stream.heartbeats()).toBeGreaterThan(2), eventuallyMs)
  const headers = { cookie, 'x-tendon-csrf': '1' }
  expect((await fetch(`${stack.url}/auth/logout`, { method: 'POST', headers })).status).toBe(200)
  await stream.ended
  expect((await open(cookie)).response.status).toBe(401)
})

test('refuses who is nobody, another customer, an unknown parameter, and one stream too many', async () => {
  const codeOf = async (path: string, cookie: string) => {
    const response = await fetch(`${stack.url}/api/events${path}`, { headers: { cookie } })
    return [response.status, (await response.json()).code]
  }
  expect(await codeOf('', '')).toEqual([401, 'TENDON-BFF-001'])
  expect(await codeOf(`?user_id=${bob.customerId}`, cookies.alice)).toEqual([403, 'TENDON-BFF-040'])
  expect(await codeOf('', cookies.staff)).toEqual([403, 'TENDON-BFF-040'])
  expect(await codeOf('?user_id=bob', cookies.alice)).toEqual([400, 'TENDON-BFF-011'])
  expect(await codeOf('?since=1', cookies.alice)).toEqual([400, 'TENDON-BFF-011'])
  const cookie = await signIn('bob')
  for (let heads = 0; heads < 13; heads += 1) {
    const head = await fetch(`${stack.url}/api/events`, { method: 'HEAD', headers: { cookie } })
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
  }
  const streams = await Promise.all(Array.from({ length: 12 }, () => open(cookie)))
  expect(await codeOf('', cookie)).toEqual([429, 'TENDON-BFF-041'])
  streams[0]!.close()
  await vi.waitFor(async () => {
    const again = await open(cookie)
    expect(again.response.status).toBe(200)
  }, eventuallyMs)
})

test('a server that stops ends its streams first', async () => {
  const { server, bff } = await stack.startBff()
  const stream = await openEventStream(`${server.url}/api/events`, { cookie: cookies.alice })
  bff.endStreams()
  await stream.ended
})
