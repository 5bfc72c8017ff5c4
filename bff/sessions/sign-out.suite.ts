import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { cookieOf, csrf, signedInBrowser, signInUntilCallback } from '../fixtures/test-sessions.fixture.ts'
import {
  eventuallyMs,
  type StackOptions,
  startSuiteStack,
  type TestStack,
} from '../fixtures/test-stack.fixture.ts'

/** Holds whatever arrives until it is let go. */
function hold() {
  const arrivals = [1, 2, 3, 4].map(() => Promise.withResolvers<void>())
  const held = Promise.withResolvers<void>()
  let count = 0
  return {
    arrive() {
      arrivals[count]?.resolve()
      count += 1
      return held.promise
    },
    arrivals: (count: number) => arrivals[count - 1]!.promise,
    letGo: held.resolve,
  }
}

/** How a session ends: by its person, by the provider, and while the provider is away. */
export function signOutSuite(name: string, options: StackOptions = {}): void {
  describe(`signing out: ${name}`, () => {
    let stack: TestStack
    beforeAll(async () => {
      stack = await startSuiteStack(options)
    })
    afterAll(() => stack?.stop())

    const status = async (browser: TestBrowser, path: string, init?: RequestInit) =>
      (await browser.request(stack.url + path, init)).status

    test('signing out ends the session at once, at the provider too, and the old cookie stays dead', async () => {
      const browser = await signedInBrowser(stack)
      const headers = cookieOf(browser)
      const out = await browser.request(`${stack.url}/auth/logout`, { method: 'POST', headers: csrf })
      expect(out.status).toBe(200)
      expect(out.headers.get('cache-control')).toBe('no-store')
      expect(browser.cookie('session_id')).toBeUndefined()
      expect(await status(new TestBrowser(), '/auth/me', { headers })).toBe(401)
      expect(await status(new TestBrowser(), '/api/reports', { headers })).toBe(401)
      // By the bff itself, whether or not the browser goes where it is sent.
      expect((await browser.open(stack.loginUrl)).text).toContain('name="password"')
      expect(stack.logLines.join()).not.toContain('was not told of a sign-out')

      const { logout_url: logoutUrl } = JSON.parse(out.text)
      let page = await browser.open(logoutUrl, {}, `${stack.url}/`)
      // A provider whose page ends the session does so by itself, for it is told which one.
      if (page.text.includes('<form')) {
        expect(page.text).toContain('document.forms[0].submit()')
        page = await browser.submit(page, {}, `${stack.url}/`)
      }
      expect(page.url.href).toBe(`${stack.url}/`)
      expect((await browser.open(stack.loginUrl)).text).toContain('name="password"')
    })

    test('signing out twice, or without a session, is no error', async () => {
      const page = await new TestBrowser().request(`${stack.url}/auth/logout`, {
        method: 'POST',
        headers: csrf,
      })
      expect([page.status, JSON.parse(page.text)]).toEqual([200, { logout_url: `${stack.url}/` }])
    })

    test('signing out works while the provider is away, and what it remembers then signs nobody in', async () => {
      const lonely = await startSuiteStack(options)
      try {
        const browser = await signedInBrowser(lonely, await lonely.provider.createPerson(['patient']))
        const headers = cookieOf(browser)
        await lonely.provider.leave()
        const out = await browser.request(`${lonely.url}/auth/logout`, { method: 'POST', headers: csrf })
        expect([out.status, JSON.parse(out.text)]).toEqual([200, { logout_url: `${lonely.url}/` }])
        expect((await new TestBrowser().request(`${lonely.url}/auth/me`, { headers })).status).toBe(401)
        await lonely.provider.come()
        expect((await browser.open(lonely.loginUrl)).text).toContain('name="password"')
      } finally {
        await lonely.stop()
      }
    })

    test('signing out while the provider hangs ends the session at once, and is answered within five seconds', async () => {
      const own = await startSuiteStack(options)
      const held = { metadata: hold(), signOut: hold() }
      try {
        // One instance knows the provider, the other asks it for everything.
        const urls = [own.url, (await own.startBff()).server.url]
        const headers = [
          cookieOf(await signedInBrowser(own, 'alice')),
          cookieOf(await signedInBrowser(own, 'alice')),
        ]
        own.hooks.beforeProvider = ({ url }) =>
          held[url?.includes('/.well-known/') ? 'metadata' : 'signOut'].arrive()
        // Time passes by hand alone.
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
        vi.spyOn(AbortSignal, 'timeout').mockReturnValue(new AbortController().signal)
        const signOuts = urls.map((url, index) =>
          fetch(`${url}/auth/logout`, { method: 'POST', headers: { ...csrf, ...headers[index] } }),
        )
        await Promise.all([held.metadata.arrivals(1), held.signOut.arrivals(2)])
        for (const given of headers)
          expect((await fetch(`${own.url}/auth/me`, { headers: given })).status).toBe(401)
        // What takes several steps takes no longer in all.
        vi.advanceTimersByTime(3_000)
        held.metadata.letGo()
        await held.signOut.arrivals(4)
        vi.advanceTimersByTime(2_000)
        for (const out of await Promise.all(signOuts)) {
          expect(out.status).toBe(200)
          expect(await out.json()).toEqual({ logout_url: expect.stringContaining('http') })
          expect(out.headers.getSetCookie()).toContainEqual(expect.stringMatching(/session_id=;/))
        }
      } finally {
        vi.useRealTimers()
        vi.restoreAllMocks()
        held.metadata.letGo()
        held.signOut.letGo()
        await own.stop()
      }
    })

    test('the provider ends a session by back-channel logout, and no other', async () => {
      const [browser, other] = [await signedInBrowser(stack, 'bob'), await signedInBrowser(stack, 'bob')]
      const page = await browser.open(stack.provider.signOutPage)
      await browser.submit(page, {}, `${stack.url}/`)
      // Keycloak sends it when it has answered the browser.
      await vi.waitFor(async () => expect(await status(browser, '/auth/me')).toBe(401), eventuallyMs)
      expect(await status(other, '/auth/me')).toBe(200)
      const audited = stack.audited().findLast(({ action }) => action === 'provider_sign_out')
      expect(audited).toMatchObject({ outcome: 'done', sessions: 1 })
    })

    test('a back-channel logout wins over a sign-in that it overtakes', async () => {
      const browser = new TestBrowser()
      const callback = await signInUntilCallback(stack, browser, 'bob')
      const writing = Promise.withResolvers<void>()
      const held = Promise.withResolvers<void>()
      stack.hooks.beforeWrite = (key) => {
        if (!key.startsWith('tendon:session:')) return
        writing.resolve()
        return held.promise
      }
      const signingIn = browser.request(callback)
      await writing.promise
      const before = stack.audited().length
      const page = await browser.open(stack.provider.signOutPage)
      await browser.submit(page, {}, `${stack.url}/`)
      await vi.waitFor(() => expect(stack.audited().length).toBeGreaterThan(before), eventuallyMs)
      held.resolve()
      stack.hooks.beforeWrite = undefined
      expect((await signingIn).text).toContain('TENDON-BFF-002')
      expect(await status(browser, '/auth/me')).toBe(401)
    })
  })
}
