import { expect, onTestFinished, test } from 'vitest'
import { digest } from './digest.ts'
import { refreshTokensSuite } from './refresh-tokens.suite.ts'
import { cookieOf, signedInBrowser } from './test-sessions.fixture.ts'
import { startTestStack } from './test-stack.fixture.ts'

refreshTokensSuite('the embedded provider, sessions in memory')

test('a refresh that is refused because another instance has had its turn gives what that one has stored', async () => {
  const stack = await startTestStack({ refreshTiming: { leaseMs: 600, requestTimeoutMs: 60_000 } })
  onTestFinished(() => stack.stop())
  const second = await stack.startBff()
  const headers = cookieOf(await signedInBrowser(stack))
  const reports = async (url: string) => (await fetch(`${url}/api/reports`, { headers })).status
  const asked = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  stack.clock.skewMs = 301_000
  stack.hooks.beforeProvider = (request) => {
    if (request.url !== stack.provider.tokenPath) return undefined
    stack.hooks.beforeProvider = undefined
    asked.resolve()
    return held.promise
  }
  const overtaken = reports(stack.url)
  await asked.promise
  // As when a Redis that takes over has not heard of it.
  const hash = digest(headers.cookie.slice('session_id='.length))
  expect(await second.keyValue.delete(`tendon:session-refresh:${hash}`)).toBe(true)
  expect(await reports(second.server.url)).toBe(200)
  held.resolve()
  expect(await overtaken).toBe(200)
  expect(await reports(stack.url)).toBe(200)
  const calls = (['issued', 'refused'] as const).map((how) => stack.tokenCalls(how, 'refresh_token'))
  expect(calls).toEqual([1, 1])
})
