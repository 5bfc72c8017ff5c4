import { expect, test } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { signInUntilCallback } from '../fixtures/test-sessions.fixture.ts'
import { type StackOptions, startSuiteStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

/** What of a sign-in is refused, and what whoever began it is shown; in the world of the suite that it is a part of. */
export function refusedSignIns(stackOf: () => TestStack, options: StackOptions): void {
  const untilCallback = (browser: TestBrowser, username = 'alice') =>
    signInUntilCallback(stackOf(), browser, username)

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
    browser.clear(stackOf().url)
    const begun = await browser.request(stackOf().loginUrl)
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
      expect(page.text).toContain(`access_denied (${asText(payload)})`)
      expect(page.text).not.toMatch(/<script>|<img|javascript:/)
      expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*style-src 'nonce-/)
      expect(browser.cookie('session_id')).toBeUndefined()
    }
  })

  const asText = (text: string) =>
    text.replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')

  test.each([
    ['temporarily_unavailable', 'authentication_expired', 400, 'TENDON-BFF-003', 'refused'],
    ['temporarily_unavailable', 'try later', 503, 'TENDON-BFF-007', 'failed'],
    ['server_error', 'unknown', 503, 'TENDON-BFF-007', 'failed'],
  ])('that the provider cannot is not said to be the account: %s (%s)', async (error, about, ...expected) => {
    const browser = new TestBrowser()
    const callback = changed(changed(await untilCallback(browser), 'code'), 'error', error)
    const page = await browser.request(changed(callback, 'error_description', about))
    const [status, code, outcome] = expected
    expect([page.status, page.text]).toEqual([status, expect.stringContaining(code)])
    expect(stackOf().audited().at(-1)).toMatchObject({ action: 'sign_in', outcome, reason: code })
  })

  test('a form that is sent after a sign-in in another tab leads on, in the same session', async () => {
    const browser = new TestBrowser()
    const { url, loginUrl } = stackOf()
    const overtaken = await signInUntilCallback({ url, loginUrl: `${loginUrl}?return_to=/reports` }, browser)
    await browser.signIn(loginUrl, 'alice')
    const session = browser.cookie('session_id')!.value
    // As Keycloak 26.7.3 answers once the cookie of that form's sign-in is gone.
    const expired = changed(changed(overtaken, 'code'), 'error', 'temporarily_unavailable')
    const page = await browser.request(changed(expired, 'error_description', 'authentication_expired'))
    expect([page.status, page.headers.get('location')], page.text).toEqual([303, '/reports'])
    expect(browser.cookie('session_id')!.value).toBe(session)
    expect((await browser.request(`${url}/auth/me`)).status).toBe(200)
  })

  const tryAgain = (page: { text: string }) => /href="(\/auth\/login[^"]*)"/.exec(page.text)![1]!

  test('who tries again after a sign-in that failed still comes to where it was to lead', async () => {
    const browser = new TestBrowser()
    const { url, loginUrl } = stackOf()
    const target = `${url}/reports/today?x=1&y=%22`
    const query = new URLSearchParams({ return_to: target.slice(url.length) })
    const callback = await signInUntilCallback({ url, loginUrl: `${loginUrl}?${query}` }, browser)
    const failed = await browser.request(changed(callback, 'code'))
    expect(failed.text).toContain('TENDON-BFF-006')
    const end = await browser.signIn(url + tryAgain(failed), 'alice', `${url}/reports`)
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
      // Its metadata are known by now: a browser that was sent to it would stand before an error of its own.
      await lonely.provider.leave()
      const begin = () => new TestBrowser().request(lonely.loginUrl)
      await expect.poll(async () => (await begin()).status).toBe(503)
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
      `${stackOf().loginUrl}?${new URLSearchParams({ return_to: target })}`,
    )
    expect(page.text).toContain('TENDON-BFF-012')
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
  })
}
