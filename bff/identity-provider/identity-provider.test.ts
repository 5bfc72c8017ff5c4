import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { decodeJwt, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBrowser } from '../fixtures/test-browser.fixture.ts'
import { type EmbeddedTestProvider, secrets } from '../fixtures/test-provider-embedded.fixture.ts'
import { csrf, signedInBrowser } from '../fixtures/test-sessions.fixture.ts'
import { startTestStack, type TestStack } from '../fixtures/test-stack.fixture.ts'

let stack: TestStack<EmbeddedTestProvider>
beforeAll(async () => {
  stack = await startTestStack()
})
afterAll(() => stack.stop())

const basic = (clientId: string, secret: string) =>
  `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`
const askForToken = (authorization: string, form: Record<string, string>) =>
  fetch(`${stack.issuer}/token`, {
    method: 'POST',
    headers: { authorization },
    body: new URLSearchParams(form),
  })

test('the sign-in page needs no script, shows the demo logins, and allows nothing from elsewhere', async () => {
  const page = await new TestBrowser().open(stack.loginUrl)
  expect(page.text).not.toContain('<script')
  expect(page.text).toContain('<label for="password">')
  for (const name of ['alice', 'bob', 'staff'])
    expect(page.text).toContain(`<dt>${name}</dt><dd>${name}</dd>`)
  const policy = page.headers.get('content-security-policy') ?? ''
  expect(policy).toContain("default-src 'none'")
  expect(policy).not.toContain('unsafe')
  expect(page.headers.get('cache-control')).toContain('no-store')

  await stack.provider.leave()
  await stack.provider.restart({ demoPasswordsShown: false })
  const plain = await new TestBrowser().open(stack.loginUrl)
  expect(plain.text).toContain('name="password"')
  expect(plain.text).not.toMatch(/alice|bob|staff/)
})

test('what it cannot answer is said in a sentence', async () => {
  const strange = await fetch(`${stack.providerUrl}/elsewhere`)
  expect([strange.status, await strange.text()]).toEqual([404, 'Nothing is found at this address.\n'])
  await stack.provider.leave()
  const early = await fetch(`${stack.issuer}/.well-known/openid-configuration`)
  expect([early.status, await early.text()]).toEqual([503, expect.stringContaining('not ready yet')])
  await stack.provider.come()
})

test('a wrong password says so, shows the name escaped, and slows down who goes on guessing', async () => {
  const browser = new TestBrowser()
  const page = await browser.open(stack.loginUrl)
  const tried = (username: string, password: string) => browser.submit(page, { username, password })
  const strange = await tried('"><script>', 'x')
  expect(strange.text).toContain('Wrong username or password.')
  expect(strange.text).toContain('value="&quot;&gt;&lt;script&gt;"')
  for (let tries = 0; tries < 5; tries += 1) {
    const wrong = await tried('bob', 'wrong')
    expect(wrong.text).toContain('role="alert"')
  }
  const slowed = await tried('bob', 'bob')
  expect(slowed.status).toBe(429)
  expect(Number(slowed.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await tried('alice', 'alice')).url.href).toBe(`${stack.url}/`)
})

test('services get tokens for the reports service that carry their role', async () => {
  const serviceToken = createServiceTokenSource({
    issuer: stack.issuer,
    clientId: 'tendon-cdc',
    clientSecret: secrets.cdc,
  })
  const verify = createAccessTokenVerifier({ issuer: stack.issuer, audience: 'reports-service' })
  expect(await verify(`Bearer ${await serviceToken()}`)).toEqual({
    subject: 'tendon-cdc',
    roles: ['report-invalidator'],
  })
  const guessed = await askForToken(basic('tendon-cdc', 'guess'), { grant_type: 'client_credentials' })
  expect(guessed.status).toBe(401)
  // An application that signs people in has no token of its own.
  const own = await askForToken(basic('bff', secrets.bff), { grant_type: 'client_credentials' })
  expect(own.status).toBe(400)
})

test('a sign-in without PKCE S256, or to an address that was not registered, is refused', async () => {
  const browser = new TestBrowser()
  const login = await browser.request(stack.loginUrl)
  const changed = (change: (query: URLSearchParams) => void) => {
    const url = new URL(login.headers.get('location')!)
    change(url.searchParams)
    return browser.request(url)
  }
  const errorOf = async (change: (query: URLSearchParams) => void) => {
    const { headers } = await changed(change)
    return new URL(headers.get('location')!).searchParams.get('error')
  }
  expect(await errorOf((query) => query.delete('code_challenge'))).toBe('invalid_request')
  expect(await errorOf((query) => query.set('code_challenge_method', 'plain'))).toBe('invalid_request')
  const elsewhere = await changed((query) => query.set('redirect_uri', 'https://evil.example/callback'))
  expect([elsewhere.status, elsewhere.headers.get('location')]).toEqual([400, null])
  expect(elsewhere.text).toContain('redirect_uri')
})

test('no address is built on what a request says about its host', async () => {
  const { hostname, port } = new URL(stack.providerUrl)
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
  const login = await new TestBrowser().request(stack.loginUrl)
  const authorization = new URL(login.headers.get('location')!)
  for (const path of [
    '/idp/.well-known/openid-configuration',
    authorization.pathname + authorization.search,
  ]) {
    const answer = await new Promise<string>((resolve, reject) => {
      request({ hostname, port, path, headers }, async (response) => {
        const chunks = await response.toArray()
        resolve(JSON.stringify(response.headers) + Buffer.concat(chunks).toString())
      })
        .on('error', reject)
        .end()
    })
    expect(answer).toContain('/idp/')
    expect(answer).not.toContain('evil')
  }
})

describe('a refresh token', () => {
  const use = (refreshToken: string) =>
    askForToken(basic('bff', secrets.bff), { grant_type: 'refresh_token', refresh_token: refreshToken })
  /** What comes of it. */
  async function rotate(refreshToken: string): Promise<string> {
    const { refresh_token: next } = await (await use(refreshToken)).json()
    expect([typeof next, next === refreshToken]).toEqual(['string', false])
    return next
  }
  async function signIn(): Promise<string> {
    await new TestBrowser().signIn(stack.loginUrl, 'alice')
    return stack.provider.refreshTokens().at(-1)!
  }

  test('is good twice, and a third use ends the whole grant', async () => {
    const token = await signIn()
    const nexts = [await rotate(token), await rotate(token)]
    for (const ended of [token, ...nexts]) expect((await use(ended)).status).toBe(400)
  })

  test('that was used ends the whole grant once a newer one was used', async () => {
    const token = await signIn()
    const newest = await rotate(await rotate(token))
    for (const ended of [token, newest]) expect((await use(ended)).status).toBe(400)
  })

  test('that two have is found out when each goes on with what it got', async () => {
    const token = await signIn()
    const [first, second] = [await rotate(token), await rotate(token)]
    const newest = await rotate(first)
    for (const ended of [second, newest]) expect((await use(ended)).status).toBe(400)
  })
})

test('keys stay over a restart', async () => {
  const keys = async () => (await fetch(`${stack.issuer}/jwks`)).json()
  const before = await keys()
  expect(before.keys).toHaveLength(1)
  expect(before.keys[0]).not.toHaveProperty('d')
  await stack.provider.leave()
  await stack.provider.come()
  expect(await keys()).toEqual(before)
})

/** What the bff posts to the provider when somebody signs out there. */
async function signOutRequest(browser: TestBrowser): Promise<URLSearchParams> {
  const posted = Promise.withResolvers<string>()
  stack.hooks.beforeProvider = (request) => {
    if (request.method !== 'POST' || request.url !== '/idp/session/end') return undefined
    return text(request).then((body) => {
      posted.resolve(body)
      request.destroy()
    })
  }
  await browser.request(`${stack.url}/auth/logout`, { method: 'POST', headers: csrf })
  stack.hooks.beforeProvider = undefined
  return new URLSearchParams(await posted.promise)
}

/** Whether the provider has a session of this browser: it gives a code at once. */
async function isSignedInThere(browser: TestBrowser): Promise<boolean> {
  const begun = await browser.request(stack.loginUrl)
  const answer = await browser.request(begun.headers.get('location')!)
  return new URL(answer.headers.get('location')!, stack.issuer).searchParams.has('code')
}

test('an ID token ends the session that it names, and nothing else that is like one', async () => {
  const [browser, other] = [await signedInBrowser(stack, 'alice'), await signedInBrowser(stack, 'alice')]
  const form = await signOutRequest(browser)
  const idToken = form.get('id_token_hint')!
  const [header, , signature] = idToken.split('.')
  const altered = Buffer.from(JSON.stringify({ ...decodeJwt(idToken), sub: 'bob' })).toString('base64url')
  const end = async (fields: Record<string, string>) => {
    const body = new URLSearchParams(fields)
    return (await fetch(`${stack.issuer}/session/end`, { method: 'POST', body })).status
  }
  expect(await end({})).toBe(400)
  expect(await end({ id_token_hint: 'none' })).toBe(400)
  expect(await end({ id_token_hint: [header, altered, signature].join('.') })).toBe(400)
  expect(await end({ id_token_hint: new UnsecuredJWT(decodeJwt(idToken)).encode() })).toBe(400)
  expect(await end({ id_token_hint: idToken, client_id: 'tendon-cdc' })).toBe(400)
  expect(await isSignedInThere(browser)).toBe(true)
  expect(await end(Object.fromEntries(form))).toBe(200)
  expect(await end(Object.fromEntries(form))).toBe(200)
  expect(await isSignedInThere(browser)).toBe(false)
  expect(await isSignedInThere(other)).toBe(true)
})

test('a session that the provider does not end for the bff is ended by the page where the browser is sent, unasked', async () => {
  const browser = await signedInBrowser(stack, 'bob')
  stack.hooks.beforeProvider = (request) => {
    if (request.method === 'POST') request.url = '/idp/nowhere'
  }
  const answer = await browser.request(`${stack.url}/auth/logout`, { method: 'POST', headers: csrf })
  stack.hooks.beforeProvider = undefined
  const page = await browser.open(JSON.parse(answer.text).logout_url)
  expect(page.text).toContain('<h1>Sign out?</h1>')
  expect(page.text).toContain('<script>document.forms[0].submit()</script>')
  expect(await isSignedInThere(browser)).toBe(true)
  await browser.submit(page, {}, `${stack.url}/`)
  expect(await isSignedInThere(browser)).toBe(false)
})
