import { demoPeople } from '@tendon/sources/demo-people.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import { type StackOptions, startSuiteStack, type TestStack } from './test-stack.fixture.ts'

/** What a sign-in is, whoever the provider and wherever sessions are kept. */
export function signInSuite(name: string, options: StackOptions = {}): void {
  describe(`sign-in: ${name}`, () => {
    let stack: TestStack
    beforeAll(async () => {
      stack = await startSuiteStack(options)
    })
    afterAll(() => stack?.stop())

    /** Signs somebody in up to the moment when the provider sends the browser back. */
    async function untilCallback(browser: TestBrowser, username = 'alice'): Promise<URL> {
      const page = await browser.signIn(stack.loginUrl, username, `${stack.url}/callback`)
      expect(page.url.pathname, page.text).toBe('/callback')
      return page.url
    }

    const signInCookies = (browser: TestBrowser) =>
      [...browser.cookies.values()].filter((cookie) => cookie.name.startsWith('sign_in_'))

    test('alice signs in, is known, and reads her reports with a token that the provider signed', async () => {
      const browser = new TestBrowser()
      const loginUrl = `${stack.loginUrl}?return_to=/reports/today?x=1`
      const end = await browser.signIn(loginUrl, 'alice', `${stack.url}/reports`)
      expect(end.url.href).toBe(`${stack.url}/reports/today?x=1`)

      const me = await browser.request(`${stack.url}/auth/me`)
      expect(me.headers.get('cache-control')).toBe('no-store')
      expect(JSON.parse(me.text)).toEqual({
        name: expect.stringContaining(demoPeople.alice.fullName),
        username: 'alice',
        roles: ['patient'],
        customer_id: demoPeople.alice.customerId,
      })
      const reports = await browser.request(`${stack.url}/api/reports`)
      expect(JSON.parse(reports.text)).toEqual({
        subject: expect.stringMatching(/\balice$/),
        roles: ['patient'],
        customerId: demoPeople.alice.customerId,
      })
    })

    test('the request to the provider has PKCE S256, state and nonce, and the configured redirect URI', async () => {
      // Whatever a client says about where it is.
      const headers = {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        forwarded: 'host=evil.example',
      }
      const first = await new TestBrowser().request(stack.loginUrl, { headers })
      const second = await new TestBrowser().request(stack.loginUrl)
      const [one, other] = [first, second].map((page) => new URL(page.headers.get('location') ?? ''))
      expect(one!.href.startsWith(new URL(stack.issuer).origin)).toBe(true)
      expect(Object.fromEntries(one!.searchParams)).toMatchObject({
        response_type: 'code',
        code_challenge_method: 'S256',
        code_challenge: expect.stringMatching(/^[\w-]{43}$/),
        redirect_uri: `${stack.url}/callback`,
      })
      for (const secret of ['state', 'nonce', 'code_challenge']) {
        expect(one!.searchParams.get(secret)).toMatch(/^[\w-]{43,}$/)
        expect(one!.searchParams.get(secret)).not.toBe(other!.searchParams.get(secret))
      }
    })

    test('staff have no customer', async () => {
      const browser = new TestBrowser()
      await browser.signIn(stack.loginUrl, 'staff')
      const me = await browser.request(`${stack.url}/auth/me`)
      expect(JSON.parse(me.text)).toMatchObject({ roles: ['report-admin'], customer_id: null })
    })

    test('a wrong password, and an account that is not there, get no further than the form', async () => {
      for (const [username, password] of [
        ['alice', 'not-her-password'],
        ['nobody', 'nobody'],
      ] as const) {
        const browser = new TestBrowser()
        const form = await browser.open(stack.loginUrl)
        const page = await browser.submit(form, { username, password }, `${stack.url}/callback`)
        expect(page.url.pathname).not.toBe('/callback')
        expect(page.text).toContain('name="password"')
        expect((await browser.request(`${stack.url}/auth/me`)).status).toBe(401)
      }
    })

    test('the session cookie is for this host and no script, and is gone from the sign-in on', async () => {
      const browser = new TestBrowser()
      const callback = await untilCallback(browser)
      expect(signInCookies(browser)).toHaveLength(1)
      expect(signInCookies(browser)[0]?.attributes.has('httponly')).toBe(true)
      const page = await browser.request(callback)
      expect(signInCookies(browser)).toHaveLength(0)
      // Whatever sets a cookie must stay in no cache.
      expect(page.headers.getSetCookie().length).toBeGreaterThan(0)
      expect(page.headers.get('cache-control')).toBe('no-store')

      const session = browser.cookie('session_id')
      expect(session?.value).toMatch(/^[\w-]{43}$/)
      expect(session?.attributes.has('httponly')).toBe(true)
      expect(session?.attributes.get('samesite')).toBe('Lax')
      expect(session?.attributes.get('path')).toBe('/')
      expect(session?.attributes.has('domain')).toBe(false)
    })

    test('several tabs sign in at the same time', async () => {
      const browser = new TestBrowser()
      const callbacks = [
        await untilCallback(browser),
        await untilCallback(browser),
        await untilCallback(browser),
      ]
      for (const callback of callbacks.toReversed()) {
        const end = await browser.request(callback)
        expect([end.status, end.headers.get('location')], end.text).toEqual([303, '/'])
        expect((await browser.request(`${stack.url}/auth/me`)).status).toBe(200)
      }
    })

    test('sign-ins that were begun and left do not pile up in the browser', async () => {
      const browser = new TestBrowser()
      for (let begun = 0; begun < 12; begun += 1) await browser.request(stack.loginUrl)
      expect(signInCookies(browser)).toHaveLength(8)
      await browser.signIn(stack.loginUrl, 'alice')
      expect((await browser.request(`${stack.url}/auth/me`)).status).toBe(200)
    })

    test('a session id that was planted before the sign-in is not the one after it', async () => {
      const attacker = new TestBrowser()
      await attacker.signIn(stack.loginUrl, 'bob')
      const planted = attacker.cookie('session_id')!
      const victim = new TestBrowser()
      victim.cookies.set('planted', planted)
      await victim.signIn(stack.loginUrl, 'alice')
      expect(victim.cookie('session_id')).toBeDefined()
      victim.cookies.delete('planted')
      expect(victim.cookie('session_id')!.value).not.toBe(planted.value)
      expect((await attacker.request(`${stack.url}/auth/me`)).status).toBe(401)

      const invented = { cookie: `session_id=${'A'.repeat(43)}` }
      expect((await new TestBrowser().request(`${stack.url}/auth/me`, { headers: invented })).status).toBe(
        401,
      )
    })

    async function refused(who: TestBrowser, callback: URL, code: string) {
      const page = await who.request(callback)
      expect(page.text).toContain(code)
      expect(page.text).toContain('href="/auth/login"')
      expect(page.status).toBeGreaterThanOrEqual(400)
      expect(page.headers.get('content-security-policy')).not.toContain('unsafe')
      expect(page.headers.get('cache-control')).toBe('no-store')
      expect(who.cookie('session_id')).toBeUndefined()
    }

    function changed(callback: URL, parameter: string, value?: string): URL {
      const url = new URL(callback)
      if (value === undefined) url.searchParams.delete(parameter)
      else url.searchParams.set(parameter, value)
      return url
    }

    test.each([
      ['a wrong state', 'state', 'A'.repeat(43), 'TENDON-BFF-003'],
      ['no state', 'state', undefined, 'TENDON-BFF-003'],
      ['another issuer', 'iss', 'https://evil.example', 'TENDON-BFF-006'],
      ['no issuer', 'iss', undefined, 'TENDON-BFF-006'],
      ['a made-up code', 'code', 'x', 'TENDON-BFF-006'],
      ['no code', 'code', undefined, 'TENDON-BFF-006'],
    ])('a callback with %s is refused', async (_what, parameter, value, code) => {
      const browser = new TestBrowser()
      await refused(browser, changed(await untilCallback(browser), parameter, value), code)
    })

    test.each(['state', 'code', 'iss', 'error'])('a callback with %s twice is refused', async (parameter) => {
      const browser = new TestBrowser()
      const callback = await untilCallback(browser)
      for (const value of [callback.searchParams.get(parameter) ?? 'a', 'b']) {
        callback.searchParams.append(parameter, value)
      }
      await refused(browser, callback, 'TENDON-BFF-011')
    })

    test('a callback is good once, and only in the browser that began the sign-in', async () => {
      const browser = new TestBrowser()
      await refused(new TestBrowser(), await untilCallback(browser), 'TENDON-BFF-004')

      const callback = await untilCallback(browser)
      const cookiesThen = new Map(browser.cookies)
      expect((await browser.request(callback)).status).toBe(303)
      const replaying = new TestBrowser()
      for (const [key, cookie] of cookiesThen) replaying.cookies.set(key, cookie)
      await refused(replaying, callback, 'TENDON-BFF-003')
    })

    test('who is signed in and goes back to the provider is led home, in the same session', async () => {
      const browser = new TestBrowser()
      const begun = await browser.request(stack.loginUrl)
      const providersPage = begun.headers.get('location')!
      const callback = await browser.signIn(providersPage, 'alice', `${stack.url}/callback`)
      expect((await browser.request(callback.url)).status).toBe(303)
      const session = browser.cookie('session_id')
      // The provider knows the browser, and sends it back with another code for the same sign-in.
      const { url: again } = await browser.open(providersPage, {}, `${stack.url}/callback`)
      expect(again.searchParams.get('state')).toBe(callback.url.searchParams.get('state'))
      for (const used of [again, callback.url]) {
        const page = await browser.request(used)
        expect([page.status, page.headers.get('location')], page.text).toEqual([303, '/'])
        expect(page.headers.getSetCookie()).toEqual([])
      }
      expect(browser.cookie('session_id')).toBe(session)
      expect((await browser.request(`${stack.url}/auth/me`)).status).toBe(200)
    })

    test("the code of another's sign-in is not exchanged", async () => {
      const [victim, attacker] = [new TestBrowser(), new TestBrowser()]
      const stolen = (await untilCallback(victim, 'bob')).searchParams.get('code')!
      const injected = changed(await untilCallback(attacker), 'code', stolen)
      await refused(attacker, injected, 'TENDON-BFF-006')
    })

    test('a code that was used is no good under a new state, in its own browser either', async () => {
      const browser = new TestBrowser()
      const callback = await untilCallback(browser)
      expect((await browser.request(callback)).status).toBe(303)
      browser.clear(stack.url)
      const begun = await browser.request(stack.loginUrl)
      const { searchParams } = new URL(begun.headers.get('location')!)
      await refused(browser, changed(callback, 'state', searchParams.get('state')!), 'TENDON-BFF-006')
    })

    test("the provider's refusal is shown as text, with a code", async () => {
      for (const payload of [
        '<script>alert(1)</script>',
        '"><img src=x onerror=alert(1)>',
        "'-alert(1)-'",
        '{{7*7}}',
      ]) {
        const browser = new TestBrowser()
        const callback = await untilCallback(browser)
        callback.searchParams.delete('code')
        callback.searchParams.set('error', 'access_denied')
        callback.searchParams.set('error_description', payload)
        callback.searchParams.set('error_uri', 'javascript:alert(1)')
        const page = await browser.request(callback)
        expect(page.status).toBe(403)
        expect(page.headers.get('content-type')).toContain('text/html')
        expect(page.text).toContain('TENDON-BFF-005')
        expect(page.text).not.toMatch(/<script>|<img|javascript:/)
        expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*style-src 'nonce-/)
        expect(browser.cookie('session_id')).toBeUndefined()
      }
    })

    const tryAgain = (page: { text: string }) => /href="(\/auth\/login[^"]*)"/.exec(page.text)![1]!

    test('who tries again after a sign-in that failed still comes to where it was to lead', async () => {
      const browser = new TestBrowser()
      const target = `${stack.url}/reports/today?x=1&y=%22`
      const query = new URLSearchParams({ return_to: target.slice(stack.url.length) })
      const loginUrl = `${stack.loginUrl}?${query}`
      const { url: callback } = await browser.signIn(loginUrl, 'alice', `${stack.url}/callback`)
      const failed = await browser.request(changed(callback, 'code'))
      expect(failed.text).toContain('TENDON-BFF-006')
      const end = await browser.signIn(stack.url + tryAgain(failed), 'alice', `${stack.url}/reports`)
      expect(end.url.href).toBe(target)
    })

    test('a sign-in while the provider is away is a page that says so, and works when it is back', async () => {
      const lonely = await startSuiteStack(options)
      try {
        await lonely.provider.leave()
        const browser = new TestBrowser()
        const page = await browser.request(`${lonely.loginUrl}?return_to=/reports`)
        expect([page.status, page.headers.get('retry-after')]).toEqual([503, '5'])
        expect(page.text).toContain('TENDON-BFF-007')
        const audited = { action: 'sign_in', outcome: 'failed', reason: 'TENDON-BFF-007' }
        expect(lonely.audited().at(-1)).toMatchObject(audited)
        await lonely.provider.come()
        const end = await browser.signIn(lonely.url + tryAgain(page), 'alice', `${lonely.url}/reports`)
        expect(end.url.pathname).toBe('/reports')
        expect(browser.cookie('session_id'), end.text).toBeDefined()
      } finally {
        await lonely.stop()
      }
    })

    test.each([
      'https://evil.example',
      'HTTPS:evil.example',
      '//evil.example',
      '///evil.example',
      '/\\evil.example',
      '\\\\evil.example',
      '/\t/evil.example',
      '/\n/evil.example',
      '/..//evil.example',
      '/%2e%2e//evil.example',
      'javascript:alert(1)',
      'data:text/html,x',
      'evil.example',
      '/a\u0000b',
      '',
    ])('no other site can be returned to: %j', async (target) => {
      const page = await new TestBrowser().request(
        `${stack.loginUrl}?${new URLSearchParams({ return_to: target })}`,
      )
      expect(page.text).toContain('TENDON-BFF-012')
      expect([page.status, page.headers.get('location')]).toEqual([400, null])
    })
  })
}
