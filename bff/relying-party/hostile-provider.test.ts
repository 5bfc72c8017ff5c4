import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type HostileStack, type Said, startHostileStack } from '../fixtures/test-hostile-stack.fixture.ts'
import { eventuallyMs } from '../fixtures/test-stack.fixture.ts'

let stack: HostileStack
let provider: HostileStack['provider']
let clock: HostileStack['clock']
let request: HostileStack['request']
let signIn: HostileStack['signIn']
let finish: HostileStack['finish']
beforeEach(async () => {
  stack = await startHostileStack()
  ;({ provider, clock, request, signIn, finish } = stack)
})
afterEach(() => stack?.stop())

const seconds = () => Math.floor(Date.now() / 1000)

describe('ID tokens', () => {
  test('a good one signs in', async () => {
    const { status, cookie } = await signIn()
    expect([status, cookie]).toEqual([303, expect.stringMatching(/^session_id=/)])
    expect((await request('/auth/me', { headers: { cookie: cookie! } })).status).toBe(200)
  })

  test.each<[string, Said]>([
    ['of another sign-in (nonce)', { claims: { nonce: 'another' } }],
    ['without a nonce', { claims: { nonce: undefined } }],
    ['for another client (aud)', { claims: { aud: 'another' } }],
    ['for several clients without azp', { claims: { aud: ['bff', 'another'] } }],
    ['that says another client got it (azp)', { claims: { aud: ['bff', 'another'], azp: 'another' } }],
    ['of another issuer', { claims: { iss: 'https://evil.example' } }],
    ['without an issuer', { claims: { iss: undefined } }],
    ['without a subject', { claims: { sub: undefined } }],
    ['whose subject is empty', { claims: { sub: '' } }],
    ['that has expired', { claims: { exp: seconds() - 60 } }],
    ['that never expires', { claims: { exp: undefined } }],
    ['from the future', { claims: { nbf: seconds() + 3_600 } }],
    ['that nobody has signed (alg none)', { by: 'nobody' }],
    ['that somebody else has signed', { by: 'another key' }],
    ['signed with the public key as a secret (HS256)', { header: { alg: 'HS256' } }],
    ['whose roles are no list', { claims: { roles: 'report-admin' } }],
    ['whose customer is not one', { claims: { customer_id: '../../etc' } }],
  ])('one %s does not', async (_what, said) => {
    provider.say(said)
    const { status, text, cookie } = await signIn()
    expect([status, cookie]).toEqual([502, undefined])
    expect(text).toContain('TENDON-BFF-006')
    expect(text).not.toMatch(/eyJ/)
  })

  test.each([
    [429, 'application/json', '{"error":"slow_down"}'],
    [429, 'text/html', '<h1>Slow down'],
    [502, 'text/html', '<h1>Bad gateway'],
  ])('a provider that answers %i as %s instead is one to try again later', async (status, type, body) => {
    provider.answerTokens({ status, type, body })
    const page = await signIn()
    expect([page.status, page.text]).toEqual([503, expect.stringContaining('TENDON-BFF-007')])
    provider.answerTokens(undefined)
    expect((await signIn()).status).toBe(303)
  })

  test('keys may rotate between two sign-ins', async () => {
    expect((await signIn()).status).toBe(303)
    for (const keepOld of [true, false]) {
      await provider.rotateKeys({ keepOld })
      // Not more often than once a second are keys fetched, whatever keys tokens name.
      await vi.waitFor(async () => expect((await signIn()).status).toBe(303), eventuallyMs)
    }
  })
})

describe('answers to a refresh', () => {
  const tokens = async (more: Record<string, unknown> = {}, claims: Record<string, unknown> = {}) =>
    JSON.stringify({
      access_token: 'a',
      token_type: 'bearer',
      expires_in: 300,
      refresh_token: 'next',
      id_token: await provider.sign({ claims: { aud: 'bff', ...claims } }),
      ...more,
    })
  type Answer = { status?: number; type?: string; body: string }
  const status = async (cookie: string | undefined) =>
    (await request('/auth/me', { headers: { cookie: cookie! } })).status

  test.each<[string, 'next' | 'former', () => Promise<Answer> | Answer]>([
    [
      'an ID token of another issuer',
      'next',
      async () => ({ body: await tokens({}, { iss: 'https://x.y' }) }),
    ],
    ['an ID token for another client', 'next', async () => ({ body: await tokens({}, { aud: 'another' }) })],
    [
      'an ID token that has expired',
      'next',
      async () => ({ body: await tokens({}, { exp: seconds() - 60 }) }),
    ],
    [
      'an ID token without a time of issue',
      'next',
      async () => ({ body: await tokens({}, { iat: undefined }) }),
    ],
    ['roles that are no list', 'next', async () => ({ body: await tokens({}, { roles: 'report-admin' }) })],
    ['tokens of an unknown type', 'next', async () => ({ body: await tokens({ token_type: 'mac' }) })],
    ['no access token', 'next', async () => ({ body: await tokens({ access_token: undefined }) })],
    ['a lifetime that is no number', 'next', async () => ({ body: await tokens({ expires_in: 'x' }) })],
    ['an ID token that is none', 'former', async () => ({ body: await tokens({ id_token: 'x.y' }) })],
    [
      "somebody else's tokens, for another client",
      'former',
      async () => ({ body: await tokens({}, { sub: 'bob', aud: 'another' }) }),
    ],
    ['a refresh token that is no text', 'former', async () => ({ body: await tokens({ refresh_token: 7 }) })],
    ['nothing', 'former', () => ({ body: '' })],
    ['an empty object', 'former', () => ({ body: '{}' })],
    ['what is no JSON', 'former', () => ({ body: '{"access_token":' })],
    ['a page', 'former', () => ({ type: 'text/html', body: '<h1>Welcome' })],
    ['a redirect', 'former', () => ({ status: 302, body: '' })],
    ['that the client is unknown', 'former', () => ({ status: 401, body: '{"error":"invalid_client"}' })],
    ['an error without a name', 'former', () => ({ status: 400, body: '{}' })],
    ['that it is unwell', 'former', () => ({ status: 500, body: '{"error":"invalid_grant"}' })],
  ])('%s costs nobody the session, which goes on with the %s refresh token', async (_what, token, answer) => {
    const { cookie } = await signIn()
    clock.skewMs = 301_000
    provider.answerTokens(await answer())
    const refused = await request('/auth/me', { headers: { cookie: cookie! } })
    expect([refused.status, (await refused.json()).code]).toEqual([503, 'TENDON-BFF-007'])
    expect(refused.headers.get('retry-after')).toBe('5')
    provider.answerTokens(undefined)
    expect(await status(cookie)).toBe(200)
    const [former, sent] = provider.refreshTokens
    expect(sent).toBe(token === 'next' ? 'next' : former)
  })

  test.each<[string, () => Promise<Answer> | Answer]>([
    ['that the grant has ended', () => ({ status: 400, body: '{"error":"invalid_grant"}' })],
    ["somebody else's tokens", async () => ({ body: await tokens({}, { sub: 'bob' }) })],
  ])('%s ends the session', async (_what, answer) => {
    const { cookie } = await signIn()
    clock.skewMs = 301_000
    provider.answerTokens(await answer())
    expect(await status(cookie)).toBe(401)
    provider.answerTokens(undefined)
    expect(await status(cookie)).toBe(401)
    expect(provider.refreshTokens).toHaveLength(1)
  })
})

test('a refresh without an ID token keeps the session, and none of the roles that it may have lost', async () => {
  provider.say({ claims: { roles: ['report-admin'] } })
  const { cookie } = await signIn()
  const me = async () => (await request('/auth/me', { headers: { cookie: cookie! } })).json()
  expect(await me()).toMatchObject({ username: 'alice', roles: ['report-admin'] })
  clock.skewMs = 301_000
  const tokens = { access_token: 'a', token_type: 'bearer', expires_in: 300 }
  provider.answerTokens({ body: JSON.stringify(tokens) })
  expect(await me()).toMatchObject({ username: 'alice', roles: [] })
})

describe('after a session was revoked', () => {
  async function revokeAll(): Promise<void> {
    const { cookie } = await signIn()
    const headers = { cookie: cookie!, 'x-tendon-csrf': '1' }
    expect((await request('/auth/sessions', { method: 'DELETE', headers })).status).toBe(200)
    // A sign-in of the same millisecond may have begun before.
    clock.skewMs += 1
  }

  test.each<[string, unknown]>([
    ['does not say when the password was given', undefined],
    ['says that it was given before', seconds() - 60],
  ])('a provider that %s is told once to ask for it, and then not believed', async (_what, auth_time) => {
    await revokeAll()
    provider.say({ claims: { auth_time, sub: 'alice' } })
    const { status, cookie, cookies, location } = await signIn()
    expect([status, cookie]).toEqual([303, undefined])
    const again = new URL(location!).searchParams
    expect([again.get('prompt'), again.get('max_age')]).toEqual(['login', '0'])
    const { status: refused, text } = await finish(cookies, provider.answer(location!))
    expect([refused, text]).toEqual([502, expect.stringContaining('TENDON-BFF-006')])
  })

  test.each([
    ['right', 0],
    ['behind', -25],
    ['ahead', 25],
  ])(
    'of a provider whose clock is %s only a password that was given since is believed',
    async (_what, offsetSeconds) => {
      await revokeAll()
      clock.skewMs += 10_000
      const say = (secondsBefore: number) => {
        const iat = seconds() + offsetSeconds
        provider.say({ claims: { iat, auth_time: iat - secondsBefore, sub: 'alice' } })
      }
      say(60)
      const first = await signIn()
      expect([first.cookie, first.location]).toEqual([undefined, expect.stringContaining('prompt=login')])
      // As when the browser takes `prompt` out of the address.
      const second = await finish(first.cookies, provider.answer(first.location!))
      expect([second.status, second.cookie]).toEqual([502, undefined])
      say(5)
      expect((await signIn()).cookie).toBeDefined()
    },
  )

  test('a password that was given since signs in, at once', async () => {
    await revokeAll()
    clock.skewMs += 5_000
    provider.say({ claims: { auth_time: seconds(), sub: 'alice' } })
    expect((await signIn()).cookie).toBeDefined()
    // Nobody else is asked.
    provider.say({ claims: { sub: 'bob' } })
    expect((await signIn()).cookie).toBeDefined()
  })
})
