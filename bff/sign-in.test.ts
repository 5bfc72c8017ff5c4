import { demoPeople } from '@tendon/sources/demo-people.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import { startTestStack, type TestStack } from './test-stack.fixture.ts'

let stack: TestStack
beforeAll(async () => {
  stack = await startTestStack()
})
afterAll(() => stack.stop())

/** Signs alice in up to the moment when the provider sends her back. */
async function untilCallback(browser: TestBrowser): Promise<URL> {
  const page = await browser.signIn(stack.loginUrl, 'alice', `${stack.url}/callback`)
  expect(page.url.pathname).toBe('/callback')
  return page.url
}

test('alice signs in, is known, and reads her reports with a token that the provider signed', async () => {
  const browser = new TestBrowser()
  const end = await browser.signIn(
    `${stack.loginUrl}?return_to=/reports/today?x=1`,
    'alice',
    `${stack.url}/reports`,
  )
  expect(end.url.href).toBe(`${stack.url}/reports/today?x=1`)

  const me = await browser.request(`${stack.url}/auth/me`)
  expect(me.headers.get('cache-control')).toBe('no-store')
  expect(JSON.parse(me.text)).toEqual({
    name: `${demoPeople.alice.fullName} <Patient>`,
    username: 'alice',
    roles: ['patient'],
    customer_id: demoPeople.alice.customerId,
  })
  const reports = await browser.request(`${stack.url}/api/reports`)
  expect(JSON.parse(reports.text)).toEqual({
    subject: 'alice',
    roles: ['patient'],
    customerId: demoPeople.alice.customerId,
  })
})

test('staff have no customer', async () => {
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, 'staff')
  const me = await browser.request(`${stack.url}/auth/me`)
  expect(JSON.parse(me.text)).toMatchObject({ roles: ['report-admin'], customer_id: null })
})

test('the session cookie is for this host and no script, and is gone from the sign-in on', async () => {
  const browser = new TestBrowser()
  const callback = await untilCallback(browser)
  const signInCookies = () => [...browser.cookies.values()].filter(({ name }) => name.startsWith('sign_in_'))
  expect(signInCookies()).toHaveLength(1)
  expect(signInCookies()[0]?.attributes.has('httponly')).toBe(true)
  await browser.request(callback)
  expect(signInCookies()).toHaveLength(0)

  const session = browser.cookie('session_id')
  expect(session?.value).toMatch(/^[\w-]{43}$/)
  expect(session?.attributes.has('httponly')).toBe(true)
  expect(session?.attributes.get('samesite')).toBe('Lax')
  expect(session?.attributes.get('path')).toBe('/')
  expect(session?.attributes.has('domain')).toBe(false)
})

test('on https the cookies are Secure and bound to the host, and browsers are told to stay on https', async () => {
  const secure = await startTestStack({
    publicUrl: 'https://reports.example.com',
    publicIssuerOrigin: 'https://login.example.com',
  })
  try {
    const origins = {
      [secure.url]: secure.bffs[0]!.server.url,
      'https://login.example.com': secure.providerUrl,
    }
    const browser = new TestBrowser({ origins })
    const end = await browser.signIn(secure.loginUrl, 'alice')
    expect(end.headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/)
    expect(browser.cookie('__Host-session_id')?.attributes.has('secure')).toBe(true)
    expect(browser.cookie('session_id')).toBeUndefined()
    const providerCookies = [...browser.cookies.values()].filter(({ host }) => host === 'login.example.com')
    expect(providerCookies.length).toBeGreaterThan(0)
    for (const cookie of providerCookies) {
      expect(cookie.attributes.has('secure')).toBe(true)
      expect(cookie.path).toMatch(/^\/idp/)
    }
    // The provider was told another Host on every request, and gave out no address built on it.
    expect(browser.seen.join('\n')).not.toContain('127.0.0.1')
    expect((await browser.request(`${secure.url}/api/reports`)).status).toBe(200)
  } finally {
    await secure.stop()
  }
})

test('several tabs sign in at the same time', async () => {
  const browser = new TestBrowser()
  const pages = [await browser.open(stack.loginUrl), await browser.open(stack.loginUrl)]
  for (const page of pages) {
    const end = await browser.submit(page, { username: 'alice', password: 'alice' })
    expect(end.url.pathname, end.text).toBe('/')
    expect((await browser.request(`${stack.url}/auth/me`)).status).toBe(200)
  }
})

test('sign-ins that were begun and left do not pile up in the browser', async () => {
  const browser = new TestBrowser()
  for (let begun = 0; begun < 12; begun += 1) await browser.request(stack.loginUrl)
  expect(browser.cookies.size).toBe(8)
  await browser.signIn(stack.loginUrl, 'alice')
  expect((await browser.request(`${stack.url}/auth/me`)).status).toBe(200)
})

test('a sign-in is good once, in the browser that began it, with its own state and issuer', async () => {
  const browser = new TestBrowser()
  const refused = async (who: TestBrowser, callback: URL, code: string) => {
    const page = await who.request(callback)
    expect(page.text).toContain(code)
    expect(page.text).toContain('href="/auth/login"')
    expect(page.status).toBeGreaterThanOrEqual(400)
    expect(who.cookie('session_id')).toBeUndefined()
  }
  const changed = (callback: URL, name: string, value?: string) => {
    const url = new URL(callback)
    if (value === undefined) url.searchParams.delete(name)
    else url.searchParams.set(name, value)
    return url
  }

  await refused(browser, changed(await untilCallback(browser), 'state', 'A'.repeat(43)), 'TENDON-BFF-003')
  await refused(browser, changed(await untilCallback(browser), 'state'), 'TENDON-BFF-003')
  await refused(
    browser,
    changed(await untilCallback(browser), 'iss', 'https://evil.example'),
    'TENDON-BFF-006',
  )
  await refused(browser, changed(await untilCallback(browser), 'iss'), 'TENDON-BFF-006')
  await refused(browser, changed(await untilCallback(browser), 'code', 'x'), 'TENDON-BFF-006')
  await refused(new TestBrowser(), await untilCallback(browser), 'TENDON-BFF-004')

  const callback = await untilCallback(browser)
  const cookiesThen = new Map(browser.cookies)
  expect((await browser.request(callback)).status).toBe(303)
  const replaying = new TestBrowser()
  for (const [key, cookie] of cookiesThen) replaying.cookies.set(key, cookie)
  await refused(replaying, callback, 'TENDON-BFF-003')
})

test("the provider's refusal is shown escaped, with a code", async () => {
  const browser = new TestBrowser()
  const callback = await untilCallback(browser)
  const { searchParams } = callback
  searchParams.delete('code')
  searchParams.set('error', 'access_denied')
  searchParams.set('error_description', '<script>alert(1)</script>')
  const page = await browser.request(callback)
  expect(page.status).toBe(403)
  expect(page.headers.get('content-type')).toContain('text/html')
  expect(page.text).toContain('TENDON-BFF-005')
  expect(page.text).toContain('&lt;script&gt;')
  expect(page.text).not.toContain('<script>')
})

test('a sign-in while the provider is away is a page that says so', async () => {
  const lonely = await startTestStack()
  try {
    await lonely.stopProvider()
    const browser = new TestBrowser()
    const page = await browser.request(lonely.loginUrl)
    expect([page.status, page.headers.get('retry-after')]).toEqual([503, '5'])
    expect(page.text).toContain('TENDON-BFF-007')
    await lonely.startProvider()
    const end = await browser.signIn(lonely.loginUrl, 'alice')
    expect(browser.cookie('session_id'), end.text).toBeDefined()
  } finally {
    await lonely.stop()
  }
})

test('no other site can be returned to', async () => {
  for (const target of [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/\t/evil.example',
    'x',
    '',
  ]) {
    const browser = new TestBrowser()
    const page = await browser.request(`${stack.loginUrl}?${new URLSearchParams({ return_to: target })}`)
    expect(page.text, target).toContain('TENDON-BFF-012')
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
  }
})
