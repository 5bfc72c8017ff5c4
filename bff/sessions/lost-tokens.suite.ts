import { setTimeout as delay } from 'node:timers/promises'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cookieOf, hashOf, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import { type StackOptions, startSuiteStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

/** Past the access token's five minutes. */
const expired = 301_000

/** What is spent at the provider and does not arrive here, whoever the provider and wherever sessions are kept. */
export function lostTokensSuite(name: string, options: StackOptions = {}): void {
  describe(`lost tokens: ${name}`, () => {
    let stack: TestStack
    let headers: { cookie: string }
    beforeEach(async () => {
      stack = await startSuiteStack({ ...options, refreshTiming: { leaseMs: 600, requestTimeoutMs: 60_000 } })
      headers = cookieOf(await signedInBrowser(stack))
      stack.clock.skewMs = expired
    })
    afterEach(() => stack?.stop())

    const reports = (url = stack.url) => fetch(`${url}/api/reports`, { headers })
    const answerOf = async (response: Response) => [response.status, (await response.json()).code]
    const refreshes = () =>
      (['issued', 'refused'] as const).map((outcome) => stack.tokenCalls(outcome, 'refresh_token'))

    /** The provider has given new tokens, and nobody has got them. */
    async function refreshAndLoseTheAnswer(): Promise<void> {
      const statuses: number[] = []
      stack.hooks.insteadOfTokens = (status) => void statuses.push(status)
      expect(await answerOf(await reports())).toEqual([503, 'TENDON-BFF-007'])
      expect(statuses).toEqual([200])
      stack.hooks.insteadOfTokens = undefined
    }

    /** As when a Redis that takes over has not heard of it. */
    async function loseLease(keyValue: KeyValue): Promise<void> {
      const hash = hashOf(headers)
      expect(await keyValue.delete(`tendon:session-refresh:${hash}`)).toBe(true)
    }

    /** An instance that is held as it asks the provider, when another has refreshed in its place. */
    async function overtake() {
      const second = await stack.startBff()
      const asked = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      stack.hooks.beforeProvider = (request) => {
        if (request.url !== stack.provider.tokenPath) return undefined
        stack.hooks.beforeProvider = undefined
        asked.resolve()
        return held.promise
      }
      const slower = reports()
      await asked.promise
      await loseLease(second.keyValue)
      expect((await reports(second.server.url)).status).toBe(200)
      return { second, slower, letGo: held.resolve }
    }

    test('tokens that are lost on their way cost nobody the session: the refresh token is good once more', async () => {
      for (const round of [1, 2]) {
        stack.clock.skewMs = round * expired
        await refreshAndLoseTheAnswer()
        expect((await reports()).status).toBe(200)
      }
      expect(refreshes()).toEqual([2, 0])
    })

    test('a refresh token whose answers are lost twice is good for nothing more, and the session ends', async () => {
      await refreshAndLoseTheAnswer()
      await refreshAndLoseTheAnswer()
      for (const _turn of [1, 2]) expect((await reports()).status).toBe(401)
      expect(refreshes()).toEqual([0, 1])
    })

    /** Keycloak knows the older of two tokens by their `iat`, to the second. */
    async function untilNextSecond(): Promise<void> {
      await delay(1_000 - (Date.now() % 1_000))
    }

    test('of two instances that refresh for want of a lease both have tokens, when the slower asks later', async () => {
      const { second, slower, letGo } = await overtake()
      await untilNextSecond()
      letGo()
      expect((await slower).status).toBe(200)
      await expectToGoOn(second.server.url)
    })

    test('a refresh token that comes after newer ones ends the sign-in; until then what is stored holds', async () => {
      const { second, slower, letGo } = await overtake()
      await untilNextSecond()
      stack.clock.skewMs += expired
      expect((await reports(second.server.url)).status).toBe(200)
      letGo()
      expect((await slower).status).toBe(200)
      expect(refreshes()).toEqual([2, 1])
      stack.clock.skewMs += expired
      expect((await reports()).status).toBe(401)
    })

    test('of two instances that refresh for want of a lease both have tokens, when the slower writes later', async () => {
      const second = await stack.startBff()
      const writing = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      stack.hooks.beforeWrite = (key) => {
        if (!key.startsWith('tendon:session:')) return undefined
        stack.hooks.beforeWrite = undefined
        writing.resolve()
        return held.promise
      }
      const slower = reports()
      await writing.promise
      await loseLease(second.keyValue)
      expect((await reports(second.server.url)).status).toBe(200)
      held.resolve()
      expect((await slower).status).toBe(200)
      await expectToGoOn(second.server.url)
    })

    /** Not only until the next refresh. */
    async function expectToGoOn(secondUrl: string): Promise<void> {
      for (const url of [stack.url, secondUrl]) {
        stack.clock.skewMs += expired
        expect((await reports(url)).status).toBe(200)
      }
      expect(refreshes()).toEqual([4, 0])
    }
  })
}
