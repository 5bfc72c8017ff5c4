import { demoPeople } from '@tendon/sources/demo-people.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { signInUntilCallback } from '../fixtures/test-sessions.fixture.ts'
import { type StackOptions, startSuiteStack, type TestStack } from '../fixtures/test-stack.fixture.ts'
import { refusedSignIns } from './refused-sign-ins.suite.ts'

/** What a sign-in is, whoever the provider and wherever sessions are kept. */
export function signInSuite(name: string, options: StackOptions = {}): void {
  describe(`sign-in: ${name}`, () => {
    let stack: TestStack
    beforeAll(async () => {
      stack = await startSuiteStack(options)
    })
    afterAll(() => stack?.stop())

    const untilCallback = (browser: TestBrowser) => signInUntilCallback(stack, browser)
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
      // Whatever a client says about where it is, and wishes.
      const headers = {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        forwarded: 'host=evil.example',
      }
      const wishes = { prompt: 'none', login_hint: 'bob', redirect_uri: 'https://evil.example', scope: 'all' }
      const wishingUrl = `${stack.loginUrl}?${new URLSearchParams(wishes)}`
      const first = await new TestBrowser().request(wishingUrl, { headers })
      const second = await new TestBrowser().request(stack.loginUrl)
      const [one, other] = [first, second].map((page) => new URL(page.headers.get('location') ?? ''))
      expect(one!.href.startsWith(new URL(stack.issuer).origin)).toBe(true)
      const random = expect.stringMatching(/^[\w-]{43}$/)
      expect(Object.fromEntries(one!.searchParams)).toEqual({
        client_id: stack.provider.clientId,
        response_type: 'code',
        scope: 'openid profile email',
        redirect_uri: `${stack.url}/callback`,
        code_challenge_method: 'S256',
        code_challenge: random,
        state: random,
        nonce: random,
      })
      for (const secret of ['state', 'nonce', 'code_challenge']) {
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

    refusedSignIns(() => stack, options)
  })
}
