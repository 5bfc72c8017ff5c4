import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { csrf, minutes, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import { type StackOptions, startSuiteStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

/** What a person takes at least, and a test does not, from a revocation to the password. */
const typingMs = 5_000

/** Who sees and ends whose sessions, and what a browser needs after its own was ended. */
export function sessionListSuite(name: string, options: StackOptions = {}): void {
  describe(`the list of sessions: ${name}`, () => {
    let stack: TestStack
    beforeAll(async () => {
      stack = await startSuiteStack(options)
    })
    afterAll(() => stack?.stop())

    const status = async (browser: TestBrowser, path: string, init?: RequestInit) =>
      (await browser.request(stack.url + path, init)).status

    test("a person sees where they are signed in, and ends one session or all; nobody else's", async () => {
      const username = await stack.provider.createPerson(['patient'])
      const [first, second, third] = [
        await signedInBrowser(stack, username),
        await signedInBrowser(stack, username),
        await signedInBrowser(stack, username),
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

      const stranger = await signedInBrowser(stack, 'alice')
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
      const browser = await signedInBrowser(stack, username)
      const ended = await status(browser, '/auth/sessions', { method: 'DELETE', headers: csrf })
      expect(ended).toBe(200)
      stack.clock.skewMs += typingMs
      expect(await status(await signedInBrowser(stack, username), '/auth/me')).toBe(200)
    })

    test("staff end a person's sessions, and nobody else may", async () => {
      const username = await stack.provider.createPerson(['patient'])
      const [person, staff, other] = [
        await signedInBrowser(stack, username),
        await signedInBrowser(stack, 'staff'),
        await signedInBrowser(stack, 'bob'),
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
      expect(await revoke(staff, username.toUpperCase())).toEqual([200, 0])
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

    test('staff end the sessions of a customer, of each login that the customer has', async () => {
      const customerId = randomUUID()
      const create = () => stack.provider.createPerson(['patient'], customerId)
      const own = await signedInBrowser(stack, await create())
      const carers = await signedInBrowser(stack, await create())
      const [staff, other] = [await signedInBrowser(stack, 'staff'), await signedInBrowser(stack, 'bob')]
      const revoke = async (browser: TestBrowser, whose: string) => {
        const url = `${stack.url}/auth/customers/${whose}/sessions`
        const { status, text } = await browser.request(url, { method: 'DELETE', headers: csrf })
        return [status, JSON.parse(text).code ?? JSON.parse(text).ended]
      }
      expect(await revoke(other, customerId)).toEqual([403, 'TENDON-BFF-015'])
      expect(await status(carers, '/auth/me')).toBe(200)
      expect(await revoke(staff, customerId.toUpperCase())).toEqual([200, 2])
      expect([await status(own, '/auth/me'), await status(carers, '/auth/me')]).toEqual([401, 401])
      expect(await status(other, '/auth/me')).toBe(200)
      expect(await revoke(staff, randomUUID())).toEqual([404, 'TENDON-BFF-021'])
    })

    test('a browser whose session was revoked has to give the password again, whatever the provider remembers', async () => {
      const username = await stack.provider.createPerson(['patient'])
      const [lost, own] = [await signedInBrowser(stack, username), await signedInBrowser(stack, username)]
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
      const lost = await signedInBrowser(stack, username)
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
  })
}
