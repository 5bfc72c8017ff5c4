import { once } from 'node:events'
import { connect } from 'node:net'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { cookieOf, csrf, hashOf, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import { eventuallyMs, startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

let stack: TestStack
let cookie: string
/** So that no wait in a gateway ends while a test holds something, on however slow a machine. */
const patient = { reportsTimeoutMs: 60_000 }
beforeAll(async () => {
  stack = await startTestStack({ config: patient })
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, 'alice')
  cookie = `session_id=${browser.cookie('session_id')!.value}`
})
afterAll(() => stack.stop())

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(stack.url + path, { headers: { cookie, ...headers } })
const codeOf = async (response: Response) => [response.status, (await response.json()).code]

test('declared addresses go where they should, with the session as the only proof', async () => {
  const addresses = {
    '/api/reports': '/reports',
    '/api/reports/customers?query=Zo%C3%AB%20%26': '/customers?query=Zo%C3%AB%20%26',
    '/api/reports/openapi.json': '/openapi.json',
    '/api/reports/cdn/2026-01-31': '/reports/prosthesis-daily/2026-01-31',
    '/api/reports/wear-weekly/2026-01-31': '/reports/wear-weekly/2026-01-31',
    '/api/reports/prosthesis-trend/2026-01-31?days=90&format=csv':
      '/reports/prosthesis-trend/2026-01-31?days=90&format=csv',
    [`/api/reports?user_id=${demoPeople.bob.customerId}`]: `/reports?user_id=${demoPeople.bob.customerId}`,
    [`/api/reports/cdn/2026-01-31?user_id=${demoPeople.bob.customerId}`]: `/reports/prosthesis-daily/2026-01-31?user_id=${demoPeople.bob.customerId}`,
  }
  for (const [address, behind] of Object.entries(addresses)) {
    const response = await get(address, { 'x-request-id': 'request-0001' })
    expect(response.status, address).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(response.headers.get('x-request-id')).toBe('request-0001')
    const { url, headers } = stack.upstreamRequests.at(-1)!
    expect(url).toBe(behind)
    expect(headers.authorization).toMatch(/^Bearer eyJ/)
  }
  const { alice, bob } = demoPeople
  const ofAnother = { outcome: 'done', who: { username: 'alice' }, whom: { customer_id: bob.customerId } }
  expect((await get(`/api/reports?user_id=${alice.customerId}`)).status).toBe(200)
  expect(stack.audited().filter(({ action }) => action === 'report_of_another')).toMatchObject([
    { ...ofAnother, path: '/api/reports' },
    { ...ofAnother, path: '/api/reports/cdn/2026-01-31' },
  ])
  expect(stack.audited().filter(({ action }) => action === 'customer_search')).toMatchObject([
    { outcome: 'done', who: { username: 'alice' }, path: '/api/reports/customers' },
  ])
})

/** Until so many requests have found another that asks for them, since the start. */
const waitingFor = (count: number) =>
  vi.waitFor(async () => {
    const { body } = await stack.bffs[0]!.metrics.expose()
    expect(body).toContain(`tendon_bff_coalesced_requests_total ${count}\n`)
  }, eventuallyMs)

test('requests of one session for the same thing at the same time become few, and of two sessions never', async () => {
  const other = new TestBrowser()
  await other.signIn(stack.loginUrl, 'bob')
  const bobs = `session_id=${other.cookie('session_id')!.value}`
  const held = Promise.withResolvers<void>()
  const before = stack.upstreamRequests.length
  stack.hooks.beforeUpstream = () => held.promise
  const alices = Array.from({ length: 10 }, () => get('/api/reports'))
  const theirs = Array.from({ length: 10 }, () => get('/api/reports', { cookie: bobs }))
  // Of each ten, one asks, and one more for the eight that have come since.
  await waitingFor(16)
  held.resolve()
  stack.hooks.beforeUpstream = undefined
  const subjects = async (answers: Promise<Response>[]) =>
    new Set(
      (await Promise.all((await Promise.all(answers)).map((answer) => answer.json()))).map(
        ({ subject }) => subject,
      ),
    )
  expect([await subjects(alices), await subjects(theirs)]).toEqual([new Set(['alice']), new Set(['bob'])])
  expect(stack.upstreamRequests.length).toBe(before + 4)
})

test('what an answer may differ by is asked for apart: what a browser can read, what it has, and its token', async () => {
  const held = Promise.withResolvers<void>()
  const before = stack.upstreamRequests.length
  const arrived = (count: number) =>
    vi.waitFor(() => expect(stack.upstreamRequests).toHaveLength(before + count), eventuallyMs)
  stack.hooks.beforeUpstream = () => held.promise
  const readers = ['accept', 'accept-encoding', 'accept-language', 'if-none-match', 'prefer'].map((name) => ({
    [name]: 'x',
  }))
  const asked = [{}, ...readers].map((headers) => get('/api/reports', headers))
  await arrived(6)
  // Time for new tokens: those may say less of who asks.
  stack.clock.skewMs += 290_000
  asked.push(get('/api/reports'))
  await arrived(7)
  held.resolve()
  stack.hooks.beforeUpstream = undefined
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(asked.map(() => 200))
})

test('nobody is given an answer that was asked for before they came', async () => {
  const arrived = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  let state = 'old'
  const own = await startTestStack({
    config: patient,
    upstream: async (_request, response) => {
      const told = state
      arrived.resolve()
      await held.promise
      response.writeHead(200, { 'content-type': 'text/plain' }).end(told)
    },
  })
  try {
    const browser = new TestBrowser()
    await browser.signIn(own.loginUrl, 'alice')
    const ask = async () => (await browser.request(`${own.url}/api/reports`)).text
    const before = ask()
    await arrived.promise
    state = 'new'
    const after = [ask(), ask(), ask()]
    await vi.waitFor(
      async () =>
        expect((await own.bffs[0]!.metrics.expose()).body).toContain('coalesced_requests_total 2\n'),
      eventuallyMs,
    )
    held.resolve()
    expect([await before, await Promise.all(after)]).toEqual(['old', ['new', 'new', 'new']])
    expect(own.upstreamRequests).toHaveLength(2)
  } finally {
    await own.stop()
  }
})

test('who is signed out while another request asks for them is not given its answer', async () => {
  const asked = Promise.withResolvers<void>()
  const service = Promise.withResolvers<void>()
  const own = await startTestStack({
    config: patient,
    upstream: async (_request, response) => {
      asked.resolve()
      await service.promise
      response.writeHead(200, { 'content-type': 'text/plain' }).end('a report')
    },
  })
  try {
    const browser = await signedInBrowser(own)
    const headers = { ...cookieOf(browser), ...csrf }
    const ask = () => fetch(`${own.url}/api/reports`, { headers })
    const before = ask()
    await asked.promise
    // The first of these two asks for both, when the one before them has its answer.
    const both = [ask(), ask()]
    await vi.waitFor(
      async () =>
        expect((await own.bffs[0]!.metrics.expose()).body).toContain('coalesced_requests_total 1\n'),
      eventuallyMs,
    )
    // The session is looked at for each: for the one before, for the one that asked, which ends it, and for the one that waited.
    let looks = 0
    own.hooks.afterLook = async (key) => {
      if (key !== `tendon:session:${hashOf(headers)}`) return
      looks += 1
      if (looks !== 2) return
      own.hooks.afterLook = undefined
      await fetch(`${own.url}/auth/logout`, { method: 'POST', headers })
    }
    service.resolve()
    expect((await before).status).toBe(200)
    expect((await Promise.all(both)).map(({ status }) => status).sort()).toEqual([200, 401])
    expect(own.upstreamRequests).toHaveLength(2)
  } finally {
    await own.stop()
  }
})

test('behind one that hangs nobody waits without end, nor is anybody given an older answer', async () => {
  let count = 0
  const own = await startTestStack({
    config: { reportsTimeoutMs: 4_000 },
    upstream: (_request, response) => {
      count += 1
      response.writeHead(200, { 'content-type': 'text/plain' })
      // More than sockets hold, for whoever asks first.
      response.end(count === 1 ? Buffer.alloc(64_000_000) : `answer ${count}`)
    },
  })
  try {
    const browser = new TestBrowser()
    await browser.signIn(own.loginUrl, 'alice')
    const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
    const ask = async () => (await fetch(`${own.url}/api/reports`, { headers })).text()
    const { hostname, port } = new URL(own.url)
    const socket = connect(Number(port), hostname).pause()
    socket.write(
      `GET /api/reports HTTP/1.1\r\nHost: ${hostname}\r\nCookie: ${headers.cookie}\r\n` +
        'Accept: */*\r\nAccept-Language: *\r\nAccept-Encoding: gzip, deflate\r\n\r\n',
    )
    await vi.waitFor(() => expect(count).toBe(1), eventuallyMs)
    expect(await Promise.all([ask(), ask()])).toEqual(['answer 2', 'answer 2'])
    // The one that hangs stands in nobody's way any more.
    expect(await ask()).toBe('answer 3')
    socket.destroy()
    expect(await Promise.all([ask(), ask()])).not.toContain('answer 3')
  } finally {
    await own.stop()
  }
})

test('of a service that does not answer all are told so, whoever of them asked for whom', async () => {
  let count = 0
  const own = await startTestStack({
    upstream: () => {
      count += 1
    },
  })
  try {
    const browser = new TestBrowser()
    await browser.signIn(own.loginUrl, 'alice')
    const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
    const ask = async () => codeOf(await fetch(`${own.url}/api/reports`, { headers }))
    const first = ask()
    await vi.waitFor(() => expect(count).toBe(1), eventuallyMs)
    const answers = await Promise.all([first, ask(), ask(), ask()])
    expect(answers).toEqual(Array(4).fill([504, 'TENDON-BFF-009']))
  } finally {
    await own.stop()
  }
})

test('who leaves in the middle of an answer leaves nobody else with half of it', async () => {
  const answers = [1, 2, 3].map(() => Promise.withResolvers<void>())
  let count = 0
  const own = await startTestStack({
    config: patient,
    upstream: async (_request, response) => {
      const goOn = answers[count++]!
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '10' })
      response.write('first')
      await goOn.promise
      response.end(' part')
    },
  })
  try {
    const browser = new TestBrowser()
    await browser.signIn(own.loginUrl, 'alice')
    const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
    const ask = (signal?: AbortSignal) =>
      fetch(`${own.url}/api/reports`, { headers, ...(signal && { signal }) })
    const before = await ask()
    const leaving = new AbortController()
    const [asks, waits] = [ask(leaving.signal), ask()]
    await vi.waitFor(
      async () =>
        expect((await own.bffs[0]!.metrics.expose()).body).toContain('coalesced_requests_total 1\n'),
      eventuallyMs,
    )
    answers[0]!.resolve()
    expect(await before.text()).toBe('first part')
    // Half of the answer is on its way to the one who asks, and is kept for the one who waits.
    await (await asks).body!.getReader().read()
    leaving.abort()
    for (const { resolve } of answers) resolve()
    expect(await (await waits).text()).toBe('first part')
  } finally {
    await own.stop()
  }
})

test('who leaves before the answer that others wait for does not take it from them', async () => {
  const arrived = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  stack.hooks.beforeUpstream = () => {
    arrived.resolve()
    return held.promise
  }
  const before = get('/api/reports')
  await arrived.promise
  const leaving = new AbortController()
  const asks = fetch(`${stack.url}/api/reports`, { headers: { cookie }, signal: leaving.signal })
  const waits = get('/api/reports')
  await waitingFor(17)
  leaving.abort()
  await expect(asks).rejects.toThrow()
  held.resolve()
  stack.hooks.beforeUpstream = undefined
  expect((await before).status).toBe(200)
  expect((await waits).status).toBe(200)
})

test('a service that is away is a problem with a code, until it is back', async () => {
  const { server } = stack.upstream
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  const away = await get('/api/reports')
  expect(away.headers.get('retry-after')).toBe('5')
  expect(await codeOf(away)).toEqual([502, 'TENDON-BFF-008'])

  // It is back: the next request finds it, however long its rest was to be.
  const { port } = new URL(stack.upstream.url)
  server.listen(Number(port), '127.0.0.1')
  await once(server, 'listening')
  await vi.waitFor(async () => expect((await get('/api/reports')).status).toBe(200), eventuallyMs)
})
