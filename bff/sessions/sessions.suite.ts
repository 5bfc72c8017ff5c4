import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { csrf, minutes, signedInBrowser, signInUntilCallback } from '../fixtures/test-sessions.fixture.ts'
import { type StackOptions, startSuiteStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

/** What a session is and how long it lasts, whoever the provider and wherever sessions are kept. */
export function sessionsSuite(name: string, options: StackOptions = {}): void {
  describe(`sessions: ${name}`, () => {
    let stack: TestStack
    beforeAll(async () => {
      stack = await startSuiteStack(options)
    })
    afterAll(() => stack?.stop())

    const status = async (browser: TestBrowser, path: string, init?: RequestInit) =>
      (await browser.request(stack.url + path, init)).status

    test('no cookie, and a cookie with any character changed, is nobody', async () => {
      const id = (await signedInBrowser(stack)).cookie('session_id')!.value
      const withCookie = async (value: string) => {
        const headers = { cookie: `session_id=${value}` }
        return [
          await status(new TestBrowser(), '/auth/me', { headers }),
          await status(new TestBrowser(), '/api/reports', { headers }),
        ]
      }
      expect(await withCookie('')).toEqual([401, 401])
      expect(await withCookie(id)).toEqual([200, 200])
      for (let index = 0; index < id.length; index += 1) {
        // The next of the alphabet: for the last character that is another spelling of the same bytes.
        const character = String.fromCharCode(id.charCodeAt(index) ^ 1)
        expect(await withCookie(id.slice(0, index) + character + id.slice(index + 1)), `at ${index}`).toEqual(
          [401, 401],
        )
      }
    })

    test('a session that nobody uses ends, and what a page asks by itself is no use', async () => {
      const own = await startSuiteStack({ ...options, config: { idleMs: 30 * minutes } })
      try {
        const browser = await signedInBrowser(own, 'alice')
        const ask = async (path: string, headers = {}) =>
          (await browser.request(own.url + path, { headers })).status
        own.clock.skewMs = 20 * minutes
        expect(await ask('/api/reports')).toBe(200)
        own.clock.skewMs = 45 * minutes
        expect(await ask('/auth/me')).toBe(200)
        expect(await ask('/api/reports', { 'x-tendon-background': '1' })).toBe(200)
        own.clock.skewMs = 49 * minutes
        expect(await ask('/auth/me')).toBe(200)
        own.clock.skewMs = 51 * minutes
        expect(await ask('/auth/me')).toBe(401)
        expect(await ask('/api/reports')).toBe(401)
      } finally {
        await own.stop()
      }
    })

    test('a session ends after its time, however much it is used', async () => {
      const own = await startSuiteStack({
        ...options,
        config: { sessionMs: 60 * minutes, idleMs: 30 * minutes },
      })
      try {
        const browser = await signedInBrowser(own, 'alice')
        for (const minute of [20, 40, 59]) {
          own.clock.skewMs = minute * minutes
          expect((await browser.request(`${own.url}/api/reports`)).status, `after ${minute} minutes`).toBe(
            200,
          )
        }
        own.clock.skewMs = 61 * minutes
        expect((await browser.request(`${own.url}/api/reports`)).status).toBe(401)
      } finally {
        await own.stop()
      }
    })

    test('whatever sets or clears a cookie stays in no cache', async () => {
      const username = await stack.provider.createPerson(['patient'])
      const browser = new TestBrowser()
      const url = (path: string) => stack.url + path
      const setsCookieUncached = (what: string, { headers }: { headers: Headers }) => {
        expect(headers.getSetCookie(), what).not.toEqual([])
        expect(headers.get('cache-control'), what).toBe('no-store')
      }
      for (const [method, path] of [
        ['POST', '/auth/logout'],
        ['DELETE', '/auth/sessions'],
      ] as const) {
        browser.clear(stack.url)
        setsCookieUncached('login', await browser.request(stack.loginUrl))
        const callback = await signInUntilCallback(stack, browser, username)
        setsCookieUncached('callback', await browser.request(callback))
        setsCookieUncached(path, await browser.request(url(path), { method, headers: csrf }))
      }
    })

    test('another site can neither sign anybody out nor end sessions', async () => {
      const browser = await signedInBrowser(stack)
      const form = { 'content-type': 'application/x-www-form-urlencoded' }
      const attempts: Record<string, string>[] = [
        {},
        form,
        { 'content-type': 'text/plain', origin: 'https://evil.example' },
        { 'content-type': 'multipart/form-data; boundary=x' },
        { ...csrf, origin: 'https://evil.example' },
        { ...csrf, origin: `${stack.url}.evil.example` },
        { ...csrf, origin: 'null' },
        { ...csrf, 'sec-fetch-site': 'cross-site' },
        { ...csrf, 'sec-fetch-site': 'same-site' },
        { ...csrf, 'sec-fetch-site': 'none' },
      ]
      for (const headers of attempts) {
        for (const [method, path] of [
          ['POST', '/auth/logout'],
          ['DELETE', '/auth/sessions'],
          ['DELETE', '/auth/users/alice/sessions'],
        ] as const) {
          const page = await browser.request(stack.url + path, { method, headers })
          expect([page.status, JSON.parse(page.text).code], JSON.stringify(headers)).toEqual([
            403,
            'TENDON-BFF-010',
          ])
        }
      }
      // No preflight is ever granted.
      const preflight = await browser.request(`${stack.url}/auth/logout`, {
        method: 'OPTIONS',
        headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
      })
      expect([...preflight.headers.keys()].filter((header) => header.startsWith('access-control'))).toEqual(
        [],
      )
      expect(await status(browser, '/auth/me')).toBe(200)
      const own = { ...csrf, origin: stack.url, 'sec-fetch-site': 'same-origin' }
      expect(await status(browser, '/auth/logout', { method: 'POST', headers: own })).toBe(200)
    })
  })
}
