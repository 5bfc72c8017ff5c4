import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { signInUntilCallback } from '../fixtures/test-sessions.fixture.ts'
import { type StackOptions, startSuiteStack } from '../fixtures/test-stack.fixture.ts'

/** Limits hold for all instances together. The clock is not turned: a minute is longer than the test. */
export function rateLimitsSuite(
  name: string,
  options: Pick<StackOptions, 'openProvider' | 'openKeyValue' | 'openRedis'> & { isShared: boolean },
): void {
  describe(`rate limits: ${name}`, () => {
    async function start(config: NonNullable<StackOptions['config']>) {
      const stack = await startSuiteStack({ ...options, config })
      onTestFinished(() => stack.stop())
      return stack
    }

    test('who begins too many sign-ins is told when to try again, on a page', async () => {
      const stack = await start({ loginsPerMinute: 5 })
      const early = new TestBrowser()
      const callback = await signInUntilCallback(stack, early)
      const statuses: number[] = []
      for (let count = 0; count < 6; count += 1)
        statuses.push((await new TestBrowser().request(stack.loginUrl)).status)
      expect(statuses).toEqual([303, 303, 303, 303, 429, 429])
      const page = await new TestBrowser().request(stack.loginUrl)
      expect(Number(page.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(page.text).toContain('TENDON-BFF-016')
      // Callbacks are counted apart, so that a flood of sign-ins does not lock out who has just given a password.
      expect((await early.request(callback)).status).toBe(303)
      // Once, however many there were.
      const audited = stack.audited().filter(({ reason }) => reason === 'TENDON-BFF-016')
      expect(audited).toMatchObject([
        { action: 'sign_in', outcome: 'refused', from: { address: '127.0.0.1' } },
      ])
    })

    test('who comes back from too many sign-ins is slowed down', async () => {
      const stack = await start({ loginsPerMinute: 5 })
      const statuses: number[] = []
      for (let count = 0; count < 7; count += 1) {
        const headers = { cookie: `sign_in_state-${count}=guess` }
        const page = await new TestBrowser().request(`${stack.url}/callback?state=state-${count}`, {
          headers,
        })
        statuses.push(page.status)
      }
      expect(statuses).toEqual([400, 400, 400, 400, 400, 429, 429])
    })

    test('a page elsewhere cannot use up the sign-ins of an address with pictures', async () => {
      const stack = await start({ loginsPerMinute: 1 })
      const headers = { 'sec-fetch-dest': 'image', 'sec-fetch-site': 'cross-site' }
      for (let count = 0; count < 3; count += 1)
        expect((await new TestBrowser().request(stack.loginUrl, { headers })).status).toBe(403)
      const callbackUrl = `${stack.url}/callback?state=x`
      for (let count = 0; count < 3; count += 1)
        expect((await new TestBrowser().request(callbackUrl, { headers })).status).toBe(403)
      // Of a browser that does not say what for, a callback without a sign-in counts for none either.
      for (let count = 0; count < 3; count += 1)
        expect((await new TestBrowser().request(callbackUrl)).status).toBe(400)
      const browser = new TestBrowser()
      await browser.signIn(stack.loginUrl, 'alice')
      expect((await browser.request(`${stack.url}/auth/me`)).status).toBe(200)
    })

    test('a burst that is far below the limit passes whole', async () => {
      const stack = await start({ apiRequestsPerMinute: 1_000 })
      const alice = new TestBrowser()
      await alice.signIn(stack.loginUrl, 'alice')
      const headers = { cookie: `session_id=${alice.cookie('session_id')!.value}` }
      const answers = Array.from({ length: 200 }, () => fetch(`${stack.url}/api/reports`, { headers }))
      const statuses = (await Promise.all(answers)).map(({ status }) => status)
      expect(new Set(statuses)).toEqual(new Set([200]))
    })

    test('a session that asks too much is slowed down, and nobody else', async () => {
      const stack = await start({ apiRequestsPerMinute: 20 })
      const second = await stack.startBff()
      const [alice, bob] = [new TestBrowser(), new TestBrowser()]
      await alice.signIn(stack.loginUrl, 'alice')
      await bob.signIn(stack.loginUrl, 'bob')
      const ask = async (who: TestBrowser, url: string) => {
        const headers = { cookie: `session_id=${who.cookie('session_id')!.value}` }
        return (await fetch(`${url}/api/reports`, { headers })).status
      }
      const statuses: number[] = []
      for (let count = 0; count < 50; count += 1) {
        const urls = [stack.bffs[0]!.server.url, second.server.url]
        statuses.push(await ask(alice, urls[count % 2]!))
      }
      const passed = statuses.filter((status) => status === 200).length
      expect(passed).toBe(options.isShared ? 20 : 40)
      expect(statuses.at(-1)).toBe(429)
      expect(await ask(bob, stack.url)).toBe(200)
      // Once a minute and instance, however many there were.
      const refused = { action: 'api_request', outcome: 'refused', reason: 'TENDON-BFF-016' }
      const audited = stack.audited().filter(({ action }) => action === 'api_request')
      expect(audited).toMatchObject(
        Array(2).fill({ ...refused, who: { username: 'alice' }, from: { address: '127.0.0.1' } }),
      )
    })

    test.each(['/auth/me', '/auth/sessions', '/api/events'])(
      'a session that asks too often for %s is slowed down',
      async (path) => {
        const stack = await start({ apiRequestsPerMinute: 5 })
        const alice = new TestBrowser()
        await alice.signIn(stack.loginUrl, 'alice')
        const headers = { cookie: `session_id=${alice.cookie('session_id')!.value}` }
        const statuses: number[] = []
        for (let count = 0; count < 7; count += 1) {
          const answer = await fetch(stack.url + path, { headers })
          await answer.body?.cancel()
          statuses.push(answer.status)
        }
        expect(statuses).toEqual([...Array(5).fill(200), 429, 429])
      },
    )

    const form = () => ({ method: 'POST', body: new URLSearchParams({ logout_token: 'x' }) })
    const picture = () => ({ headers: { 'sec-fetch-dest': 'image' } })
    test.each<[string, string, () => RequestInit, number]>([
      ['cross-site requests', '/auth/logout', form, 403],
      ['forged logout tokens', '/auth/backchannel-logout', form, 400],
      ['cross-site requests to nowhere', '/nowhere', form, 403],
      ['pictures that would begin sign-ins', '/auth/login', picture, 403],
      ['pictures that would end sign-ins', '/callback', picture, 403],
    ])('%s fill the audit log no faster than an address may ask', async (_what, path, init, refusal) => {
      const stack = await start({ apiRequestsPerMinutePerAddress: 5 })
      const statuses: number[] = []
      for (let count = 0; count < 9; count += 1) statuses.push((await fetch(stack.url + path, init())).status)
      expect(statuses).toEqual([...Array(5).fill(refusal), ...Array(4).fill(429)])
      const reasons = stack.audited().map(({ reason }) => reason)
      expect(reasons.filter((reason) => reason === 'TENDON-BFF-016')).toHaveLength(1)
      expect(reasons.length).toBeLessThanOrEqual(6)
    })

    test('whoever has a network of IPv6 addresses has one limit', async () => {
      const stack = await start({ loginsPerMinute: 2, trustedProxies: ['127.0.0.1'] })
      const statusFrom = async (address: string) => {
        const headers = { 'x-forwarded-for': address }
        return (await new TestBrowser().request(stack.loginUrl, { headers })).status
      }
      expect(await statusFrom('2001:db8:1:2::1')).toBe(303)
      expect(await statusFrom('2001:db8:1:2:ffff::2')).toBe(303)
      expect(await statusFrom('2001:db8:1:2::3')).toBe(429)
      expect(await statusFrom('2001:db8:1:3::1')).toBe(303)
    })

    test('sessions at one address have each their own limit, and a cookie without a session behind it has none', async () => {
      const stack = await start({ apiRequestsPerMinutePerAddress: 5, apiRequestsPerMinute: 20 })
      const cookies: string[] = []
      for (const username of ['alice', 'bob', 'alice']) {
        const browser = new TestBrowser()
        await browser.signIn(stack.loginUrl, username)
        cookies.push(`session_id=${browser.cookie('session_id')!.value}`)
      }
      const ask = async (cookie: string, init: RequestInit = {}) =>
        (await fetch(`${stack.url}/api/reports`, { ...init, headers: { cookie } })).status
      for (const cookie of cookies)
        for (let count = 0; count < 10; count += 1) expect(await ask(cookie)).toBe(200)
      // Guesses, and what another site might send with a good cookie, count as what comes without.
      const statuses: number[] = []
      for (let count = 0; count < 4; count += 1) {
        statuses.push(await ask(`session_id=${randomBytes(32).toString('base64url')}`))
        statuses.push(await ask(cookies[0]!, { method: 'POST' }))
      }
      expect(statuses).toEqual([401, 403, 401, 403, 401, 429, 429, 429])
      for (const cookie of cookies) expect(await ask(cookie)).toBe(200)
    })

    test('what is refused before its session is looked for counts for its address, whatever cookie it brings', async () => {
      const stack = await start({ apiRequestsPerMinutePerAddress: 3 })
      const statuses: number[] = []
      for (let count = 0; count < 5; count += 1) {
        const cookie = `session_id=${randomBytes(32).toString('base64url')}`
        statuses.push((await fetch(`${stack.url}/api/none`, { headers: { cookie } })).status)
      }
      expect(statuses).toEqual([404, 404, 404, 429, 429])
    })

    test('whatever cookies it sends, an address may not ask without end', async () => {
      const stack = await start({ apiRequestsPerMinutePerAddress: 1 })
      const alice = new TestBrowser()
      await alice.signIn(stack.loginUrl, 'alice')
      const headers = { cookie: `session_id=${alice.cookie('session_id')!.value}` }
      const statuses: number[] = []
      for (let count = 0; count < 102; count += 1)
        statuses.push((await fetch(`${stack.url}/auth/me`, { headers })).status)
      expect(statuses).toEqual([...Array(100).fill(200), 429, 429])
    })

    test('an address that asks too much is slowed down before its cookie is looked at', async () => {
      const stack = await start({ apiRequestsPerMinutePerAddress: 10 })
      const alice = new TestBrowser()
      await alice.signIn(stack.loginUrl, 'alice')
      const statuses: number[] = []
      for (let count = 0; count < 12; count += 1)
        statuses.push((await fetch(`${stack.url}/api/reports`)).status)
      expect(statuses).toEqual([...Array(10).fill(401), 429, 429])
      const audited = stack.audited().filter(({ action }) => action === 'api_request')
      expect(audited).toMatchObject([{ outcome: 'refused', from: { address: '127.0.0.1' } }])
      expect(audited[0].who).toBeUndefined()
      // Who shares it can sign out all the same.
      const cookie = `session_id=${alice.cookie('session_id')!.value}`
      const signOut = { method: 'POST', headers: { cookie, 'x-tendon-csrf': '1' } }
      expect((await fetch(`${stack.url}/auth/logout`, signOut)).status).toBe(200)
    })
  })
}
