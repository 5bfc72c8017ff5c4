import { describe, expect, test } from 'vitest'
import type { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { cookieOf, csrf, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import { type StackOptions, sessionKeys, startSuiteStack } from '../fixtures/test-stack.fixture.ts'

/** What of a session can be read where, and how the keys that it is under change. */
export function storedSessionsSuite(name: string, options: StackOptions = {}): void {
  describe(`stored sessions: ${name}`, () => {
    test('no token reaches the browser, an address or a log, and none lies readable in the store', async () => {
      const own = await startSuiteStack(options)
      try {
        const browser = await signedInBrowser(own, 'alice')
        const [sessionId] = [browser.cookie('session_id')!.value]
        const bearer = () => own.upstreamRequests.at(-1)!.headers.authorization!.slice('Bearer '.length)
        await browser.request(`${own.url}/api/reports`)
        const first = bearer()
        own.clock.skewMs = 290_000
        await browser.request(`${own.url}/api/reports`)
        const second = bearer()
        expect(second).not.toBe(first)
        await browser.request(`${own.url}/auth/sessions`)
        const out = await browser.request(`${own.url}/auth/logout`, { method: 'POST', headers: csrf })
        await browser.open(JSON.parse(out.text).logout_url)

        // Pages of the provider are its own affair: its cookies may be tokens.
        const places = { browser: browser.seenFrom(own.url), log: own.logLines, store: own.written() }
        for (const [place, texts] of Object.entries(places)) {
          expect(texts.length, place).toBeGreaterThan(4)
          const text = texts.join('\n')
          for (const token of [first, second]) {
            for (const part of token.split('.').slice(1)) expect(text.includes(part), place).toBe(false)
          }
          // Nor any other JWT, as the ID token.
          expect(text, place).not.toMatch(/eyJ[\w-]+\.eyJ/)
          if (place !== 'browser') expect(text.includes(sessionId), place).toBe(false)
        }
        expect(own.written().join('\n')).not.toMatch(/alice|Patient|Lindqvist/)
      } finally {
        await own.stop()
      }
    })

    test('keys rotate without signing anybody out: what is used comes under the newest', async () => {
      const rotating = await startSuiteStack(options)
      try {
        const browser = await signedInBrowser(rotating, await rotating.provider.createPerson(['patient']))
        const unused = await signedInBrowser(rotating, 'bob')
        const asked = async (url: string, who: TestBrowser, path = '/api/reports') =>
          (await fetch(url + path, { headers: cookieOf(who) })).status
        const rotated = (await rotating.startBff({ sessionKeys: sessionKeys.rotated })).server.url
        const forgotten = (await rotating.startBff({ sessionKeys: sessionKeys.lost })).server.url
        expect(await asked(forgotten, browser)).toBe(401)
        expect(await asked(rotated, browser)).toBe(200)
        expect(await asked(rotated, unused, '/auth/me')).toBe(200)
        // One was used and one was not; the lists of sessions have come along.
        expect([await asked(forgotten, browser), await asked(forgotten, unused)]).toEqual([200, 401])
        const list = await fetch(`${forgotten}/auth/sessions`, { headers: cookieOf(browser) })
        expect((await list.json()).sessions).toHaveLength(1)
      } finally {
        await rotating.stop()
      }
    })

    test('what an instance has no key for is listed as such there, and ended all the same', async () => {
      const own = await startSuiteStack(options)
      try {
        const username = await own.provider.createPerson(['patient'])
        const [first, second, third] = [
          await signedInBrowser(own, username),
          await signedInBrowser(own, username),
          await signedInBrowser(own, username),
        ]
        const asked = async (url: string, who: TestBrowser, path = '/api/reports', init: RequestInit = {}) =>
          fetch(url + path, { ...init, headers: { ...csrf, ...cookieOf(who) } })
        const statusOf = async (url: string, who: TestBrowser) => (await asked(url, who)).status
        const rotated = (await own.startBff({ sessionKeys: sessionKeys.rotated })).server.url
        const forgotten = (await own.startBff({ sessionKeys: sessionKeys.lost })).server.url
        // A use brings session and list under a key that the first instance does not have.
        expect([await statusOf(rotated, first), await statusOf(own.url, first)]).toEqual([200, 401])

        const { sessions } = await (await asked(own.url, second, '/auth/sessions')).json()
        const unreadable = { device: null, address: null, started_at: null, last_used_at: null }
        expect(sessions).toEqual(
          [false, true, false].map((current) => ({
            id: expect.any(String),
            ends_at: expect.any(String),
            current,
            ...unreadable,
          })),
        )
        const end = { method: 'DELETE' }
        expect((await asked(own.url, second, `/auth/sessions/${sessions[0].id}`, end)).status).toBe(204)
        expect(await statusOf(rotated, first)).toBe(401)

        expect(await statusOf(rotated, third)).toBe(200)
        const staff = await signedInBrowser(own, 'staff')
        const ended = await asked(own.url, staff, `/auth/users/${username}/sessions`, end)
        expect(await ended.json()).toEqual({ ended: 2 })
        for (const who of [second, third]) expect(await statusOf(rotated, who)).toBe(401)

        expect((await asked(forgotten, staff, '/auth/logout', { method: 'POST' })).status).toBe(200)
        expect(await statusOf(own.url, staff)).toBe(401)

        // A sign-in over such a session ends it too.
        const another = await own.provider.createPerson(['patient'])
        const browser = await signedInBrowser(own, another)
        const former = cookieOf(browser)
        expect(await statusOf(rotated, browser)).toBe(200)
        await browser.signIn(own.loginUrl, another)
        expect(cookieOf(browser)).not.toEqual(former)
        expect((await fetch(`${rotated}/api/reports`, { headers: former })).status).toBe(401)
      } finally {
        await own.stop()
      }
    })
  })
}
