import { randomUUID } from 'node:crypto'
import { generationKeyPrefix, invalidationsChannel } from '@tendon/contracts/invalidations.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openEventStream } from '../fixtures/test-event-stream.fixture.ts'
import { cookieOf, csrf, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import {
  eventuallyMs,
  type StackOptions,
  startSuiteStack,
  type TestStack,
} from '../fixtures/test-stack.fixture.ts'

/** Past the access token's five minutes. */
const expired = 301_000

/** What the directory says by the next refresh, and what streams that are open make of it, whoever the provider. */
export function directoryChangesSuite(name: string, options: StackOptions = {}): void {
  describe(`directory changes: ${name}`, () => {
    let stack: TestStack
    let alice: { cookie: string }
    const streams: { close(): void }[] = []
    beforeEach(async () => {
      // As long as a test may take.
      stack = await startSuiteStack({ ...options, refreshTiming: { leaseMs: 600, requestTimeoutMs: 60_000 } })
      alice = await signIn('alice')
    })
    afterEach(async () => {
      for (const stream of streams.splice(0)) stream.close()
      await stack?.stop()
    })

    const signIn = async (username: string) => cookieOf(await signedInBrowser(stack, username))
    const reports = (headers: { cookie: string }) => fetch(`${stack.url}/api/reports`, { headers })
    const answerOf = async (response: Response) => [response.status, (await response.json()).code]
    async function listen(path: string, headers: { cookie: string }) {
      const stream = await openEventStream(stack.url + path, headers)
      streams.push(stream)
      return stream
    }

    test.each([
      ['disabled', 'disablePerson'],
      ['locked', 'lockPerson'],
      ['deleted', 'deletePerson'],
    ] as const)('an account that is %s in the directory has ended at the next refresh', async (_how, end) => {
      const username = await stack.provider.createPerson(['patient'])
      const theirs = await signIn(username)
      expect((await reports(theirs)).status).toBe(200)
      await stack.provider[end](username)
      stack.clock.skewMs = expired
      expect(await answerOf(await reports(theirs))).toEqual([401, 'TENDON-BFF-002'])
      expect((await fetch(`${stack.url}/auth/me`, { headers: theirs })).status).toBe(401)
      // Nobody else is.
      expect((await reports(alice)).status).toBe(200)
      expect(stack.audited().filter(({ action }) => action === 'token_refresh')).toMatchObject([
        { outcome: 'refused', who: { username }, reason: 'TENDON-BFF-002' },
      ])
    })

    test('a role that is taken away in the directory is gone at the next refresh', async () => {
      const username = await stack.provider.createPerson(['patient', 'report-admin'])
      const theirs = await signIn(username)
      const roles = async () => (await (await reports(theirs)).json()).roles.sort()
      expect(await roles()).toEqual(['patient', 'report-admin'])
      await stack.provider.removeRole(username, 'report-admin')
      stack.clock.skewMs = expired
      const end = { method: 'DELETE', headers: { ...csrf, ...theirs } }
      expect((await fetch(`${stack.url}/auth/users/nobody/sessions`, end)).status).toBe(403)
      const known = await fetch(`${stack.url}/auth/me`, { headers: theirs })
      expect((await known.json()).roles).toEqual(['patient'])
      expect(await roles()).toEqual(['patient'])
    })

    test.each(['/auth/me', '/auth/sessions', '/api/events'])(
      'an account that is disabled in the directory gets nothing of %s after the next refresh',
      async (path) => {
        const username = await stack.provider.createPerson(['patient'])
        const theirs = await signIn(username)
        await stack.provider.disablePerson(username)
        stack.clock.skewMs = expired
        const answer = await fetch(stack.url + path, { headers: theirs })
        expect(await answerOf(answer)).toEqual([401, 'TENDON-BFF-002'])
      },
    )

    test('a stream of events that is open ends at the next refresh, when role or account are gone', async () => {
      const { customerId } = demoPeople.alice
      const [colleague, leaver] = [
        await stack.provider.createPerson(['report-admin']),
        await stack.provider.createPerson(['report-admin']),
      ]
      const path = `/api/events?user_id=${customerId}`
      const [colleagues, leavers, staffs] = [
        await listen(path, await signIn(colleague)),
        await listen(path, await signIn(leaver)),
        await listen(path, await signIn('staff')),
      ]
      await stack.provider.removeRole(colleague, 'report-admin')
      await stack.provider.disablePerson(leaver)
      stack.clock.skewMs = expired
      await Promise.all([colleagues.ended, leavers.ended])
      const heartbeats = staffs.heartbeats()
      await vi.waitFor(() => expect(staffs.heartbeats()).toBeGreaterThan(heartbeats), eventuallyMs)
    })

    test('while the provider is away a stream stays open and says nothing, and goes on when it is back', async () => {
      const stream = await listen('/api/events', alice)
      await vi.waitFor(() => expect(stream.events).toHaveLength(1), eventuallyMs)
      const keyValue = stack.bffs[0]!.keyValue
      const { customerId } = demoPeople.alice
      await stack.provider.leave()
      stack.clock.skewMs = expired
      const generation = randomUUID().replaceAll('-', '')
      await keyValue.set(generationKeyPrefix + customerId, generation)
      await keyValue.publish(invalidationsChannel, [JSON.stringify([[customerId, generation]])])
      const heartbeats = stream.heartbeats()
      await vi.waitFor(() => expect(stream.heartbeats()).toBeGreaterThan(heartbeats + 2), eventuallyMs)
      expect(stream.events).toHaveLength(1)
      await stack.provider.come()
      await vi.waitFor(() => expect(stream.events.map(({ id }) => id)).toContain(generation), eventuallyMs)
    })
  })
}
