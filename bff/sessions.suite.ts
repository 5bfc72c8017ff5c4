import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import {
  eventuallyMs,
  type StackOptions,
  sessionKeys,
  startSuiteStack,
  type TestStack,
} from './test-stack.fixture.ts'

const csrf = { 'x-tendon-csrf': '1' }
const minutes = 60_000
/** What a person takes at least, and a test does not, from a revocation to the password. */
const typingMs = 5_000

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

/** What a session is and how it ends, whoever the provider and wherever sessions are kept. */
export function sessionsSuite(name: string, options: StackOptions = {}): void {
  describe(`sessions: ${name}`, () => {
    let stack: TestStack
    beforeAll(async () => {
      stack = await startSuiteStack(options)
    })
    afterAll(() => stack?.stop())

    const status = async (browser: TestBrowser, path: string, init?: RequestInit) =>
      (await browser.request(stack.url + path, init)).status

    async function signedIn(username = 'alice', at = stack): Promise<TestBrowser> {
      const browser = new TestBrowser()
      const end = await browser.signIn(at.loginUrl, username)
      expect(browser.cookie('session_id'), end.text).toBeDefined()
      return browser
    }
    const cookieOf = (browser: TestBrowser) => ({
      cookie: `session_id=${browser.cookie('session_id')!.value}`,
    })

    test('no cookie, and a cookie with any character changed, is nobody', async () => {
      const id = (await signedIn()).cookie('session_id')!.value
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
        const browser = await signedIn('alice', own)
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
        const browser = await signedIn('alice', own)
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

    test('signing out ends the session at once, at the provider too, and the old cookie stays dead', async () => {
      const browser = await signedIn()
      const headers = cookieOf(browser)
      const out = await browser.request(`${stack.url}/auth/logout`, { method: 'POST', headers: csrf })
      expect(out.status).toBe(200)
      expect(out.headers.get('cache-control')).toBe('no-store')
      expect(browser.cookie('session_id')).toBeUndefined()
      expect(await status(new TestBrowser(), '/auth/me', { headers })).toBe(401)
      expect(await status(new TestBrowser(), '/api/reports', { headers })).toBe(401)

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
        const { url: callback } = await browser.signIn(stack.loginUrl, username, url('/callback'))
        setsCookieUncached('callback', await browser.request(callback))
        setsCookieUncached(path, await browser.request(url(path), { method, headers: csrf }))
      }
    })

    test('signing out twice, or without a session, is no error', async () => {
      const page = await new TestBrowser().request(`${stack.url}/auth/logout`, {
        method: 'POST',
        headers: csrf,
      })
      expect([page.status, JSON.parse(page.text)]).toEqual([200, { logout_url: `${stack.url}/` }])
    })

    test('another site can neither sign anybody out nor end sessions', async () => {
      const browser = await signedIn()
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

    test('signing out works while the provider is away', async () => {
      const lonely = await startSuiteStack(options)
      try {
        const browser = await signedIn('alice', lonely)
        const headers = cookieOf(browser)
        await lonely.provider.leave()
        const out = await browser.request(`${lonely.url}/auth/logout`, { method: 'POST', headers: csrf })
        expect(out.status).toBe(200)
        expect((await new TestBrowser().request(`${lonely.url}/auth/me`, { headers })).status).toBe(401)
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
        const headers = [cookieOf(await signedIn('alice', own)), cookieOf(await signedIn('alice', own))]
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
      const [browser, other] = [await signedIn('bob'), await signedIn('bob')]
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
      const { url: callback } = await browser.signIn(stack.loginUrl, 'bob', `${stack.url}/callback`)
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

    test("a person sees where they are signed in, and ends one session or all; nobody else's", async () => {
      const username = await stack.provider.createPerson(['patient'])
      const [first, second, third] = [
        await signedIn(username),
        await signedIn(username),
        await signedIn(username),
      ]
      // Another sign-in of the same browser takes the place of its first.
      await first.signIn(stack.loginUrl, username)
      type Listed = { id: string; current: boolean; started_at: string; last_used_at: string }
      const list = async (browser: TestBrowser): Promise<Listed[]> =>
        JSON.parse((await browser.request(`${stack.url}/auth/sessions`)).text).sessions
      const currentOf = async (browser: TestBrowser) => (await list(browser)).find(({ current }) => current)!
      const seen = await list(second)
      expect(seen.map(({ current }) => current)).toEqual([true, false, false])
      expect(JSON.stringify(seen)).not.toContain(second.cookie('session_id')!.value)
      // The device and place of the last use, and its time: of one that is used, and of no other.
      stack.clock.skewMs += 2 * minutes
      const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
      await third.request(`${stack.url}/api/reports`, { headers: { 'user-agent': firefox } })
      const own = await currentOf(third)
      expect(own).toMatchObject({ address: '127.0.0.1', device: 'Firefox on Linux' })
      expect(Date.parse(own.last_used_at) - Date.parse(own.started_at)).toBeGreaterThanOrEqual(2 * minutes)
      const unused = await currentOf(second)
      expect(unused.last_used_at).toBe(unused.started_at)

      const stranger = await signedIn('alice')
      const remove = (browser: TestBrowser, path: string) =>
        status(browser, path, { method: 'DELETE', headers: csrf })
      expect(await remove(stranger, `/auth/sessions/${own.id}`)).toBe(404)
      expect(await status(third, '/auth/me')).toBe(200)
      expect(await remove(second, `/auth/sessions/${own.id}`)).toBe(204)
      expect(await remove(second, `/auth/sessions/${own.id}`)).toBe(404)
      expect(await status(third, '/auth/me')).toBe(401)
      expect(await list(second)).toHaveLength(2)

      expect(await remove(second, '/auth/sessions')).toBe(200)
      for (const browser of [first, second]) expect(await status(browser, '/auth/me')).toBe(401)
      expect(await status(stranger, '/auth/me')).toBe(200)
    })

    test('who has ended all sessions can sign in again, and gives the password once', async () => {
      const username = await stack.provider.createPerson(['patient'])
      const browser = await signedIn(username)
      const ended = await status(browser, '/auth/sessions', { method: 'DELETE', headers: csrf })
      expect(ended).toBe(200)
      stack.clock.skewMs += typingMs
      expect(await status(await signedIn(username), '/auth/me')).toBe(200)
    })

    test("staff end a person's sessions, and nobody else may", async () => {
      const username = await stack.provider.createPerson(['patient'])
      const [person, staff, other] = [
        await signedIn(username),
        await signedIn('staff'),
        await signedIn('bob'),
      ]
      const revoke = async (browser: TestBrowser, whose: string) => {
        const page = await browser.request(`${stack.url}/auth/users/${whose}/sessions`, {
          method: 'DELETE',
          headers: csrf,
        })
        return [page.status, JSON.parse(page.text).code ?? JSON.parse(page.text).ended]
      }
      expect(await revoke(other, username)).toEqual([403, 'TENDON-BFF-015'])
      expect(await status(person, '/auth/me')).toBe(200)
      expect(await revoke(staff, username)).toEqual([200, 1])
      expect(await status(person, '/auth/me')).toBe(401)
      // Known by name still: that none is left can be told from a name that is misspelt.
      expect(await revoke(staff, username)).toEqual([200, 0])
      expect(await revoke(staff, 'nobody-of-this-name')).toEqual([404, 'TENDON-BFF-021'])
      const [refusal, done] = stack.audited().filter(({ whom }) => whom?.username === username)
      expect(refusal).toMatchObject({
        action: 'session_revocation',
        outcome: 'refused',
        who: { username: 'bob' },
        from: { address: '127.0.0.1' },
        request_id: expect.any(String),
        time: expect.any(String),
      })
      expect(done).toMatchObject({ outcome: 'done', who: { username: 'staff' }, sessions: 1 })
    })

    test('a browser whose session was revoked has to give the password again, whatever the provider remembers', async () => {
      const username = await stack.provider.createPerson(['patient'])
      const [lost, own] = [await signedIn(username), await signedIn(username)]
      const lostSession = lost.cookie('session_id')!.value
      const isAsked = async (browser: TestBrowser) => {
        browser.clear(stack.url)
        return (await browser.open(stack.loginUrl)).text.includes('name="password"')
      }
      expect(await isAsked(lost)).toBe(false)
      const listed = JSON.parse((await own.request(`${stack.url}/auth/sessions`)).text).sessions
      const other = listed.find(({ current }: { current: boolean }) => !current)
      expect(lostSession).toBeDefined()
      expect(await status(own, `/auth/sessions/${other.id}`, { method: 'DELETE', headers: csrf })).toBe(204)
      expect(await isAsked(lost)).toBe(true)
      stack.clock.skewMs += typingMs
      await lost.signIn(stack.loginUrl, username)
      expect(await status(lost, '/auth/me')).toBe(200)
      // With that it is as any other.
      expect(await isAsked(lost)).toBe(false)
    })

    test('a browser that takes the demand for a password out of the address is not signed in', async () => {
      const username = await stack.provider.createPerson(['patient'])
      const lost = await signedIn(username)
      expect(await status(lost, '/auth/sessions', { method: 'DELETE', headers: csrf })).toBe(200)
      lost.clear(stack.url)
      // The revocation of its tokens is lost: Keycloak would end its session with them, and ask all the same.
      stack.hooks.beforeProvider = ({ url, socket }) => {
        if (!/revo/.test(new URL(url!, stack.url).pathname)) return
        socket.destroy()
        return new Promise(() => {})
      }
      try {
        const { url: callback } = await lost.open(stack.loginUrl, {}, `${stack.url}/callback`)
        const demanding = await lost.request(callback)
        const address = new URL(demanding.headers.get('location')!)
        for (const [parameter, value] of [
          ['prompt', 'login'],
          ['max_age', '0'],
        ] as const) {
          expect(address.searchParams.get(parameter)).toBe(value)
          address.searchParams.delete(parameter)
        }
        expect((await lost.open(address)).text).toContain('TENDON-BFF-006')
        expect(await status(lost, '/auth/me')).toBe(401)
      } finally {
        stack.hooks.beforeProvider = undefined
      }
    })

    test('no token reaches the browser, an address or a log, and none lies readable in the store', async () => {
      const own = await startSuiteStack(options)
      try {
        const browser = await signedIn('alice', own)
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
        const browser = await signedIn(await rotating.provider.createPerson(['patient']), rotating)
        const unused = await signedIn('bob', rotating)
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
          await signedIn(username, own),
          await signedIn(username, own),
          await signedIn(username, own),
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
        const staff = await signedIn('staff', own)
        const ended = await asked(own.url, staff, `/auth/users/${username}/sessions`, end)
        expect(await ended.json()).toEqual({ ended: 2 })
        for (const who of [second, third]) expect(await statusOf(rotated, who)).toBe(401)

        expect((await asked(forgotten, staff, '/auth/logout', { method: 'POST' })).status).toBe(200)
        expect(await statusOf(own.url, staff)).toBe(401)
      } finally {
        await own.stop()
      }
    })
  })
}
