import { demoPeople } from '@tendon/sources/demo-people.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import { startTestStack, type TestStack } from './test-stack.fixture.ts'

let stack: TestStack
let cookie: string
beforeAll(async () => {
  stack = await startTestStack()
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
    '/api/reports/cdn/2026-01-31': '/reports/prosthesis-daily/2026-01-31',
    '/api/reports/wear-weekly/2026-01-31': '/reports/wear-weekly/2026-01-31',
    '/api/reports/prosthesis-trend/2026-01-31?days=90&format=csv':
      '/reports/prosthesis-trend/2026-01-31?days=90&format=csv',
    [`/api/reports?user_id=${demoPeople.bob.customerId}`]: `/reports?user_id=${demoPeople.bob.customerId}`,
    [`/api/reports/cdn/2026-01-31?user_id=${demoPeople.bob.customerId}`]: `/reports/prosthesis-daily/2026-01-31?user_id=${demoPeople.bob.customerId}`,
  }
  for (const [address, behind] of Object.entries(addresses)) {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const response = await get(address, {
      authorization: 'Bearer of-the-browser',
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-host': 'evil.example',
      'x-request-id': 'request-0001',
      'x-other': '1',
      traceparent,
    })
    expect(response.status, address).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(response.headers.get('x-request-id')).toBe('request-0001')
    const { url, headers } = stack.upstreamRequests.at(-1)!
    expect(url).toBe(behind)
    expect(headers.authorization).toMatch(/^Bearer eyJ/)
    expect(headers).toMatchObject({ 'x-request-id': 'request-0001', traceparent })
    expect(Object.keys(headers).sort()).toEqual(
      ['accept', 'authorization', 'connection', 'host', 'traceparent', 'x-request-id'].sort(),
    )
  }
})

test('nothing else passes', async () => {
  const before = stack.upstreamRequests.length
  const invalid = [
    '/api/reports?customer_id=1',
    '/api/reports?user_id=bob',
    `/api/reports?user_id=${demoPeople.alice.customerId}&user_id=${demoPeople.bob.customerId}`,
    '/api/reports/cdn/2026-02-30',
    '/api/reports/cdn/2026-01-31?format=csv&format=json',
    '/api/reports/cdn/2026-01-31?format=..%2fcsv',
    '/api/reports/cdn/2026-01-31?user_id=7',
    '/api/reports/cdn/..%2f..%2finvalidate',
    '/api/reports/..%2finvalidate/2026-01-31',
    '/api/reports/Report/2026-01-31',
    '/api/reports/cdn/2026-01-31%3Fuser_id=1',
  ]
  for (const path of invalid) {
    expect(await codeOf(await get(path)), path).toEqual([400, 'TENDON-BFF-011'])
  }
  for (const path of [
    '/api',
    '/api/invalidate',
    '/api/reports/cdn',
    '/api/reports/a/2026-01-31/b',
    '/api//reports',
  ]) {
    expect(await codeOf(await get(path)), path).toEqual([404, 'TENDON-PLATFORM-002'])
  }
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const headers = { cookie, 'x-tendon-csrf': '1' }
    expect((await fetch(`${stack.url}/api/reports`, { method, headers })).status).toBe(404)
  }
  expect(await codeOf(await get('/api/reports', { cookie: '' }))).toEqual([401, 'TENDON-BFF-001'])
  expect(stack.upstreamRequests).toHaveLength(before)
})

test('every answer carries the security headers, errors too', async () => {
  for (const path of ['/api/reports', '/api/none', '/auth/me', '/callback', '/none']) {
    const { headers } = await get(path)
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy, path).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('same-origin')
    expect(headers.get('access-control-allow-origin')).toBeNull()
  }
})

test('a service that is slow or away is a problem with a code', async () => {
  const held = Promise.withResolvers<void>()
  stack.hooks.beforeUpstream = () => held.promise
  expect(await codeOf(await get('/api/reports'))).toEqual([504, 'TENDON-BFF-009'])
  held.resolve()
  stack.hooks.beforeUpstream = undefined

  stack.upstream.server.closeAllConnections()
  stack.upstream.server.close()
  const away = await get('/api/reports')
  expect(away.headers.get('retry-after')).toBe('5')
  expect(await codeOf(away)).toEqual([502, 'TENDON-BFF-008'])
})
