import { afterAll, beforeAll, expect, test } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import { sessionKeys, startTestStack, type TestStack } from './test-stack.fixture.ts'

let stack: TestStack
beforeAll(async () => {
  stack = await startTestStack()
})
afterAll(() => stack.stop())

const csrf = { 'x-tendon-csrf': '1' }
const status = async (browser: TestBrowser, path: string, init?: RequestInit) =>
  (await browser.request(stack.url + path, init)).status

async function signedIn(username = 'alice'): Promise<TestBrowser> {
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, username)
  expect(await status(browser, '/auth/me')).toBe(200)
  return browser
}

test('no cookie, and a cookie with any character changed, is nobody', async () => {
  const browser = await signedIn()
  const id = browser.cookie('session_id')!.value
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
    expect(await withCookie(id.slice(0, index) + character + id.slice(index + 1)), `at ${index}`).toEqual([
      401, 401,
    ])
  }
})

test('signing out ends the session at once, at the provider too, and the old cookie stays dead', async () => {
  const browser = await signedIn()
  const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
  const out = await browser.request(`${stack.url}/auth/logout`, { method: 'POST', headers: csrf })
  expect(out.status).toBe(200)
  expect(browser.cookie('session_id')).toBeUndefined()
  expect(await status(new TestBrowser(), '/auth/me', { headers })).toBe(401)
  expect(await status(new TestBrowser(), '/api/reports', { headers })).toBe(401)

  const { logout_url: logoutUrl } = JSON.parse(out.text)
  const page = await browser.open(logoutUrl)
  expect(page.text).toContain('document.forms[0].submit()')
  const end = await browser.submit(page, {}, `${stack.url}/`)
  expect(end.url.href).toBe(`${stack.url}/`)
  expect((await browser.open(stack.loginUrl)).text).toContain('name="password"')
})

test('signing out twice, or without a session, is no error', async () => {
  const page = await new TestBrowser().request(`${stack.url}/auth/logout`, { method: 'POST', headers: csrf })
  expect([page.status, JSON.parse(page.text)]).toEqual([200, { logout_url: `${stack.url}/` }])
})

test('another site can neither sign anybody out nor end the provider session', async () => {
  const browser = await signedIn()
  const attempts: Record<string, string>[] = [
    {},
    { ...csrf, origin: 'https://evil.example' },
    { ...csrf, origin: 'null' },
    { ...csrf, 'sec-fetch-site': 'cross-site' },
    { ...csrf, 'sec-fetch-site': 'same-site' },
  ]
  for (const headers of attempts) {
    const page = await browser.request(`${stack.url}/auth/logout`, { method: 'POST', headers })
    expect([page.status, JSON.parse(page.text).code], JSON.stringify(headers)).toEqual([
      403,
      'TENDON-BFF-010',
    ])
  }
  expect(await status(browser, '/auth/me')).toBe(200)
  // Whoever does not know the session's id at the provider is asked there.
  const forged = await browser.open(`${stack.issuer}/session/end?client_id=bff&logout_hint=guess`)
  expect(forged.text).toContain('Sign out?')
  expect(forged.text).not.toContain('submit()')
  const own = { ...csrf, origin: stack.url, 'sec-fetch-site': 'same-origin' }
  expect(await status(browser, '/auth/logout', { method: 'POST', headers: own })).toBe(200)
})

test('signing out works while the provider is away', async () => {
  const lonely = await startTestStack()
  try {
    const browser = new TestBrowser()
    await browser.signIn(lonely.loginUrl, 'alice')
    const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
    await lonely.stopProvider()
    const out = await browser.request(`${lonely.url}/auth/logout`, { method: 'POST', headers: csrf })
    expect(out.status).toBe(200)
    expect((await new TestBrowser().request(`${lonely.url}/auth/me`, { headers })).status).toBe(401)
  } finally {
    await lonely.stop()
  }
})

test('the provider ends a session by back-channel logout', async () => {
  const browser = await signedIn('bob')
  const other = await signedIn('bob')
  // Signed out at the provider itself, by its own page.
  const page = await browser.open(`${stack.issuer}/session/end?client_id=bff`)
  await browser.submit(page, {}, `${stack.url}/`)
  expect(await status(browser, '/auth/me')).toBe(401)
  expect(await status(other, '/auth/me')).toBe(200)

  const forged = await fetch(`${stack.url}/auth/backchannel-logout`, {
    method: 'POST',
    body: new URLSearchParams({ logout_token: 'eyJhbGciOiJub25lIn0.e30.' }),
  })
  expect([forged.status, await forged.json()]).toMatchObject([400, { code: 'TENDON-BFF-013' }])
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
  const page = await browser.open(`${stack.issuer}/session/end?client_id=bff`)
  await browser.submit(page, {}, `${stack.url}/`)
  held.resolve()
  stack.hooks.beforeWrite = undefined
  expect((await signingIn).text).toContain('TENDON-BFF-002')
  expect(await status(browser, '/auth/me')).toBe(401)
})

test('no token reaches the browser, an address or the log, and none lies readable in the store', async () => {
  const own = await startTestStack()
  try {
    const browser = new TestBrowser()
    await browser.signIn(own.loginUrl, 'alice')
    await browser.request(`${own.url}/api/reports`)
    const first = own.upstreamRequests.at(-1)!.headers.authorization!.slice('Bearer '.length)
    own.clock.skewMs = 290_000
    await browser.request(`${own.url}/api/reports`)
    const second = own.upstreamRequests.at(-1)!.headers.authorization!.slice('Bearer '.length)
    expect(second).not.toBe(first)
    const opaque = own.refreshTokens()
    expect(opaque).toHaveLength(2)
    const { logout_url: logoutUrl } = JSON.parse(
      (await browser.request(`${own.url}/auth/logout`, { method: 'POST', headers: csrf })).text,
    )
    await browser.open(logoutUrl)

    const sessionId = /session_id=([\w-]{43})/.exec(browser.seen.join('\n'))?.[1]
    expect(sessionId).toBeDefined()
    const places = { browser: browser.seen, log: own.logLines, store: own.written }
    for (const [place, texts] of Object.entries(places)) {
      expect(texts.length, place).toBeGreaterThan(4)
      const text = texts.join('\n')
      for (const token of [first, second]) {
        for (const part of token.split('.').slice(1)) expect(text.includes(part), place).toBe(false)
      }
      for (const token of opaque) expect(text.includes(token), place).toBe(false)
      // Nor any other JWT, as the ID token.
      expect(text, place).not.toMatch(/eyJ[\w-]+\.eyJ/)
      if (place !== 'browser') expect(text.includes(sessionId!), place).toBe(false)
    }
    expect(own.written.join('\n')).not.toMatch(/alice|Patient/)
  } finally {
    await own.stop()
  }
})

test('keys rotate without signing anybody out', async () => {
  const rotating = await startTestStack()
  try {
    const browser = new TestBrowser()
    await browser.signIn(rotating.loginUrl, 'alice')
    const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
    const asked = async (url: string) => (await fetch(`${url}/api/reports`, { headers })).status
    const rotated = await rotating.startBff({ sessionKeys: sessionKeys.rotated })
    const forgotten = await rotating.startBff({ sessionKeys: sessionKeys.lost })
    expect(await asked(rotated.server.url)).toBe(200)
    expect(await asked(forgotten.server.url)).toBe(401)
    // The next refresh writes the session under the new key, and then the old one can go.
    rotating.clock.skewMs = 290_000
    expect(await asked(rotated.server.url)).toBe(200)
    expect(await asked(forgotten.server.url)).toBe(200)
  } finally {
    await rotating.stop()
  }
})
