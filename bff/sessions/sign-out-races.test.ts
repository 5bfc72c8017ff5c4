import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { cookieOf, csrf, hashOf, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import { startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

let stack: TestStack
beforeAll(async () => {
  stack = await startTestStack()
})
afterAll(() => stack?.stop())

/** Each is held when it has found its session, which then ends. */
test.each([
  ['GET', '/auth/me'],
  ['GET', '/auth/sessions'],
  ['DELETE', '/auth/sessions'],
  ['DELETE', '/auth/sessions/:id'],
  ['DELETE', '/auth/users/staff/sessions'],
  ['GET', '/api/reports'],
])('signing out wins over %s %s in flight', async (method, path) => {
  const other = cookieOf(await signedInBrowser(stack, 'staff'))
  const headers = { ...cookieOf(await signedInBrowser(stack, 'staff')), ...csrf }
  const listed = await fetch(`${stack.url}/auth/sessions`, { headers: other })
  const { sessions } = await listed.json()
  const { id } = sessions.find(({ current }: { current: boolean }) => current)
  const found = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  stack.hooks.afterRead = (key) => {
    if (key !== `tendon:session:${hashOf(headers)}`) return undefined
    stack.hooks.afterRead = undefined
    found.resolve()
    return held.promise
  }
  onTestFinished(() => held.resolve())
  const inFlight = fetch(stack.url + path.replace(':id', id), { method, headers })
  await found.promise
  expect((await fetch(`${stack.url}/auth/logout`, { method: 'POST', headers })).status).toBe(200)
  held.resolve()
  const answer = await inFlight
  expect([answer.status, (await answer.json()).code]).toEqual([401, 'TENDON-BFF-002'])
  // And nothing was done for it.
  expect((await fetch(`${stack.url}/auth/me`, { headers: other })).status).toBe(200)
})
