import { afterEach, beforeEach, expect, test } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import { startTestStack, type TestStack } from './test-stack.fixture.ts'

let stack: TestStack
let cookie: { cookie: string }
beforeEach(async () => {
  stack = await startTestStack()
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, 'alice')
  cookie = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
})
afterEach(() => stack.stop())

/** Past the access token's five minutes, and the margin before its end. */
const expired = 301_000
const withinMargin = 280_000
const reports = (url = stack.url) => fetch(`${url}/api/reports`, { headers: cookie })
const signOut = () =>
  fetch(`${stack.url}/auth/logout`, { method: 'POST', headers: { ...cookie, 'x-tendon-csrf': '1' } })
const problemCode = async (response: Response) => (await response.json()).code
const refreshes = () => stack.grants('tokens issued', 'refresh_token')

/** Holds the provider's token endpoint at the moment when it is asked, until it is let go. */
function holdTokenEndpoint() {
  const asked = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  stack.hooks.beforeProvider = (request) => {
    if (request.url !== '/idp/token') return
    asked.resolve()
    return held.promise
  }
  return { asked: asked.promise, letGo: held.resolve }
}

test('thirty requests over two instances at expiry make one refresh', async () => {
  const second = await stack.startBff()
  for (const round of [1, 2]) {
    stack.clock.skewMs = round * expired
    const urls = [stack.bffs[0]!.server.url, second.server.url]
    const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => reports(urls[index % 2])))
    expect(answers.map(({ status }) => status)).toEqual(Array(30).fill(200))
    expect(refreshes()).toBe(round)
  }
  expect(stack.grants('tokens refused', 'refresh_token')).toBe(0)
})

test('signing out does not wait for a refresh under way, which then finds itself refused', async () => {
  stack.clock.skewMs = expired
  const token = holdTokenEndpoint()
  const inFlight = reports()
  await token.asked
  expect((await signOut()).status).toBe(200)
  token.letGo()
  const answer = await inFlight
  expect([answer.status, await problemCode(answer)]).toEqual([401, 'TENDON-BFF-002'])
  expect(stack.upstreamRequests).toHaveLength(0)
})

test('a refresh that comes back after the signing out brings nothing back to life', async () => {
  stack.clock.skewMs = expired
  const writing = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  stack.hooks.beforeWrite = (key) => {
    if (!key.startsWith('tendon:session:')) return
    writing.resolve()
    return held.promise
  }
  const inFlight = reports()
  await writing.promise
  expect(stack.refreshTokens()).toHaveLength(2)
  await signOut()
  held.resolve()
  const answer = await inFlight
  expect([answer.status, await problemCode(answer)]).toEqual([401, 'TENDON-BFF-002'])
  expect((await fetch(`${stack.url}/auth/me`, { headers: cookie })).status).toBe(401)
  expect(stack.upstreamRequests).toHaveLength(0)
  expect(stack.refreshTokens()).toEqual([])
})

test('signing out wins over an answer that is on its way', async () => {
  const asked = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  stack.hooks.beforeUpstream = () => {
    asked.resolve()
    return held.promise
  }
  const inFlight = reports()
  await asked.promise
  await signOut()
  held.resolve()
  expect((await inFlight).status).toBe(401)
})

test('a session that the provider gives no more tokens has ended', async () => {
  // As when an account is closed: nobody tells, the next refresh is refused.
  await stack.stopProvider()
  await stack.startProvider({ people: [] })
  stack.clock.skewMs = expired
  const answer = await reports()
  expect([answer.status, await problemCode(answer)]).toEqual([401, 'TENDON-BFF-002'])
  expect((await fetch(`${stack.url}/auth/me`, { headers: cookie })).status).toBe(401)
})

test('while the provider is away sessions are kept, and go on when it is back', async () => {
  // Once before, for the service behind the gateway fetches the provider's keys with the first token.
  expect((await reports()).status).toBe(200)
  await stack.stopProvider()
  stack.clock.skewMs = withinMargin
  expect((await reports()).status).toBe(200)
  stack.clock.skewMs = expired
  const answer = await reports()
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
  expect(await problemCode(answer)).toBe('TENDON-BFF-007')
  expect((await fetch(`${stack.url}/auth/me`, { headers: cookie })).status).toBe(200)

  // Its keys and grants were kept over the restart: the old refresh token and the old signature are good.
  await stack.startProvider()
  expect((await reports()).status).toBe(200)
  expect(refreshes()).toBe(1)
})
