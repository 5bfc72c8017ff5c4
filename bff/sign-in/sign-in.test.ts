import { expect, test } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { startTestStack } from '../fixtures/test-stack.fixture.ts'
import { signInSuite } from './sign-in.suite.ts'

signInSuite('the embedded provider, sessions in memory')

test('who comes to this machine by another of its names signs in by the one that is told', async () => {
  const stack = await startTestStack()
  try {
    const { port, hostname } = new URL(stack.url)
    expect(hostname).toBe('127.0.0.1')
    const browser = new TestBrowser()
    const end = await browser.signIn(
      `http://localhost:${port}/auth/login?return_to=%2F%3Fview%3Dtrend`,
      'alice',
    )
    expect(end.url.href).toBe(`${stack.url}/?view=trend`)
    expect(browser.cookie('session_id')).toMatchObject({ host: hostname })
  } finally {
    await stack.stop()
  }
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
    const session = browser.cookie('__Host-session_id')!
    expect([...session.attributes].toSorted()).toEqual([
      ['httponly', ''],
      ['path', '/'],
      ['samesite', 'Lax'],
      ['secure', ''],
    ])
    expect(browser.cookie('session_id')).toBeUndefined()
    // What another host of the domain can set: browsers keep it from the prefix, but not from what looks like it.
    for (const name of [
      'session_id',
      '\u00a0__Host-session_id',
      '__host-session_id',
      '__Secure-session_id',
    ]) {
      const headers = { cookie: `${name}=${session.value}` }
      expect((await fetch(`${secure.bffs[0]!.server.url}/auth/me`, { headers })).status, name).toBe(401)
    }
    const providerCookies = [...browser.cookies.values()].filter(({ host }) => host === 'login.example.com')
    expect(providerCookies.length).toBeGreaterThan(0)
    for (const cookie of providerCookies) {
      expect(cookie.attributes.has('secure')).toBe(true)
      expect(cookie.path).toMatch(/^\/idp/)
    }
    // The provider was told another Host on every request, and gave out no address built on it.
    expect(browser.seen.join('\n')).not.toContain('127.0.0.1')
    const reports = await browser.request(`${secure.url}/api/reports`)
    expect([reports.status, reports.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(reports.headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/)
  } finally {
    await secure.stop()
  }
})
