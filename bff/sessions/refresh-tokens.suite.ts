import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { cookieOf, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import {
  eventuallyMs,
  type StackOptions,
  startSuiteStack,
  type TestStack,
} from '../fixtures/test-stack.fixture.ts'

/** Past the access token's five minutes, and the margin before its end. */
const expired = 301_000
const withinMargin = 280_000

/** Refreshes and what races with them, whoever the provider and wherever sessions are kept. */
export function refreshTokensSuite(name: string, options: StackOptions = {}): void {
  describe(`refresh: ${name}`, () => {
    let stack: TestStack
    let cookie: { cookie: string }
    /** As long as a test may take, unless patience is what it is about. */
    const start = async (requestTimeoutMs = 60_000) => {
      stack = await startSuiteStack({ ...options, refreshTiming: { leaseMs: 600, requestTimeoutMs } })
      cookie = await signIn('alice')
    }
    beforeEach(() => start())
    async function startImpatient(): Promise<void> {
      await stack.stop()
      await start(1_500)
    }
    afterEach(() => stack?.stop())

    const signIn = async (username: string) => cookieOf(await signedInBrowser(stack, username))
    const reports = (url = stack.url, headers = cookie) => fetch(`${url}/api/reports`, { headers })
    const me = () => fetch(`${stack.url}/auth/me`, { headers: cookie })
    const signOut = () =>
      fetch(`${stack.url}/auth/logout`, { method: 'POST', headers: { ...cookie, 'x-tendon-csrf': '1' } })
    const answerOf = async (response: Response) => [response.status, (await response.json()).code]
    const refreshes = () => stack.tokenCalls('issued', 'refresh_token')

    /** Holds the provider's token endpoint at the moment when it is asked, until it is let go. */
    function holdTokenEndpoint() {
      const asked = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      stack.hooks.beforeProvider = (request) => {
        if (request.url !== stack.provider.tokenPath) return
        asked.resolve()
        return held.promise
      }
      return { asked: asked.promise, letGo: held.resolve }
    }

    test('fifty requests over two instances at expiry make one call of the token endpoint', async () => {
      const second = await stack.startBff()
      for (const round of [1, 2]) {
        stack.clock.skewMs = round * expired
        const urls = [stack.bffs[0]!.server.url, second.server.url]
        const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => reports(urls[index % 2])))
        expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200))
        expect(refreshes()).toBe(round)
      }
      expect(stack.tokenCalls('refused', 'refresh_token')).toBe(0)
    })

    test('a token endpoint that is slower than lease and patience is asked once, and its answer is not lost', async () => {
      await startImpatient()
      const second = await stack.startBff()
      stack.clock.skewMs = expired
      const token = holdTokenEndpoint()
      const waiting = [reports(), reports(second.server.url)]
      await token.asked
      let looks = 0
      stack.hooks.afterRead = (key) => {
        if (key.startsWith('tendon:session:')) looks += 1
      }
      // Nobody waits longer than is polite; the lease of 600 ms has been renewed twice by then.
      for (const answer of await Promise.all(waiting)) {
        expect(answer.headers.get('retry-after')).toBe('5')
        expect(await answerOf(answer)).toEqual([503, 'TENDON-BFF-007'])
      }
      stack.hooks.afterRead = undefined
      const late = [reports(), reports(second.server.url)]
      token.letGo()
      for (const answer of await Promise.all(late)) expect(answer.status).toBe(200)
      // In 1.5 s; of a provider that hangs there are as many for each session.
      expect(looks).toBeLessThan(15)
      expect(refreshes()).toBe(1)
      expect(stack.tokenCalls('refused', 'refresh_token')).toBe(0)
    })

    test('people who refresh at the same time are never taken for each other', async () => {
      const bob = await signIn('bob')
      stack.clock.skewMs = expired
      const asked = Array.from({ length: 20 }, async (_, index) => {
        const whose = index % 2 ? bob : cookie
        return (await (await reports(stack.url, whose)).json()).subject
      })
      for (const [index, subject] of (await Promise.all(asked)).entries()) {
        expect(subject).toMatch(index % 2 ? /\bbob$/ : /\balice$/)
      }
      expect(refreshes()).toBe(2)
    })

    test('signing out does not wait for a refresh under way, which then finds itself refused', async () => {
      stack.clock.skewMs = expired
      const token = holdTokenEndpoint()
      const inFlight = reports()
      await token.asked
      expect((await signOut()).status).toBe(200)
      token.letGo()
      expect(await answerOf(await inFlight)).toEqual([401, 'TENDON-BFF-002'])
      expect(stack.upstreamRequests).toHaveLength(0)
    })

    test('signing out wins over a request that waits for the provider with a token that is still good', async () => {
      await startImpatient()
      stack.clock.skewMs = withinMargin
      const token = holdTokenEndpoint()
      const inFlight = me()
      await token.asked
      expect((await signOut()).status).toBe(200)
      expect(await answerOf(await inFlight)).toEqual([401, 'TENDON-BFF-002'])
      token.letGo()
    })

    const end = (path: string, headers: { cookie: string }) =>
      fetch(stack.url + path, { method: 'DELETE', headers: { ...headers, 'x-tendon-csrf': '1' } })
    type Ended = { username: string; browser: TestBrowser; other: { cookie: string } }
    test.each<[string, (whose: Ended) => Promise<unknown>]>([
      ['signing out', () => signOut()],
      [
        'its end from another browser',
        async ({ other }) => {
          const listed = await fetch(`${stack.url}/auth/sessions`, { headers: other })
          const [first] = (await listed.json()).sessions
          expect((await end(`/auth/sessions/${first.id}`, other)).status).toBe(204)
        },
      ],
      [
        'the end of all sessions',
        async ({ other }) => expect((await end('/auth/sessions', other)).status).toBe(200),
      ],
      [
        'its end by staff',
        async ({ username }) =>
          expect((await end(`/auth/users/${username}/sessions`, await signIn('staff'))).status).toBe(200),
      ],
      [
        'the sign-out at the provider',
        async ({ browser }) => {
          const page = await browser.open(stack.provider.signOutPage)
          await browser.submit(page, {}, `${stack.url}/`)
          await vi.waitFor(
            () => expect(stack.audited().map(({ action }) => action)).toContain('provider_sign_out'),
            eventuallyMs,
          )
        },
      ],
    ])('a refresh that comes back after %s brings nothing back to life', async (_what, endIt) => {
      const username = await stack.provider.createPerson(['patient'])
      const browser = await signedInBrowser(stack, username)
      cookie = cookieOf(browser)
      stack.clock.skewMs = expired
      // Begun now, so that it has no refresh of its own to wait for.
      const other = await signIn(username)
      const writing = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      stack.hooks.beforeWrite = (key) => {
        if (!key.startsWith('tendon:session:')) return
        stack.hooks.beforeWrite = undefined
        writing.resolve()
        return held.promise
      }
      const inFlight = reports()
      await writing.promise
      await endIt({ username, browser, other })
      const revoked = Promise.withResolvers<void>()
      stack.hooks.beforeProvider = (request) => {
        if (/revo/.test(request.url ?? '')) revoked.resolve()
      }
      held.resolve()
      // What the provider has just given must be good for nobody.
      await revoked.promise
      expect(await answerOf(await inFlight)).toEqual([401, 'TENDON-BFF-002'])
      expect((await me()).status).toBe(401)
      expect(stack.upstreamRequests).toHaveLength(0)
    })

    test('a use that is noted while the provider answers does not cost the session its new tokens', async () => {
      stack.clock.skewMs = withinMargin
      const writing = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      stack.hooks.beforeWrite = (key) => {
        if (!key.startsWith('tendon:session:')) return
        stack.hooks.beforeWrite = undefined
        writing.resolve()
        return held.promise
      }
      const refreshing = reports()
      await writing.promise
      // At a clock by which no refresh is due, the request is passed on and writes down that it was made.
      stack.clock.skewMs = 100_000
      expect((await reports()).status).toBe(200)
      held.resolve()
      expect((await refreshing).status).toBe(200)
      stack.clock.skewMs = withinMargin + expired
      expect((await reports()).status).toBe(200)
      expect([refreshes(), stack.tokenCalls('refused', 'refresh_token')]).toEqual([2, 0])
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

    test('tokens whose signature cannot be checked are not used, and the next refresh goes on from them', async () => {
      expect((await reports()).status).toBe(200)
      // An instance that has not seen the provider's keys yet.
      const second = await stack.startBff()
      stack.clock.skewMs = expired
      stack.hooks.beforeProvider = (request) => {
        if (/\/(jwks|certs)$/.test(request.url ?? '')) request.destroy()
      }
      const answer = await reports(second.server.url)
      expect(answer.headers.get('retry-after')).toBe('5')
      expect(await answerOf(answer)).toEqual([503, 'TENDON-BFF-007'])
      expect(stack.upstreamRequests).toHaveLength(1)

      stack.hooks.beforeProvider = undefined
      expect((await reports(second.server.url)).status).toBe(200)
      expect([refreshes(), stack.tokenCalls('refused', 'refresh_token')]).toEqual([2, 0])
    })

    test('while the provider is away sessions are kept, and go on when it is back', async () => {
      // Once before, for the service behind the gateway fetches the provider's keys with the first token.
      expect((await reports()).status).toBe(200)
      await stack.provider.leave()
      stack.clock.skewMs = withinMargin
      expect((await reports()).status).toBe(200)
      stack.clock.skewMs = expired
      const answer = await reports()
      expect(answer.headers.get('retry-after')).toBe('5')
      expect(await answerOf(answer)).toEqual([503, 'TENDON-BFF-007'])
      expect(await answerOf(await me())).toEqual([503, 'TENDON-BFF-007'])

      // Its keys and grants were kept: the old refresh token and the old signature are good.
      await stack.provider.come()
      expect((await reports()).status).toBe(200)
      expect(refreshes()).toBe(1)
    })
  })
}
