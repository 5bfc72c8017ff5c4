import { afterEach, beforeEach, expect, test } from 'vitest'
import { type HostileStack, type Said, startHostileStack } from '../fixtures/test-hostile-stack.fixture.ts'

let stack: HostileStack
let provider: HostileStack['provider']
let request: HostileStack['request']
let signIn: HostileStack['signIn']
beforeEach(async () => {
  stack = await startHostileStack()
  ;({ provider, request, signIn } = stack)
})
afterEach(() => stack?.stop())

const seconds = () => Math.floor(Date.now() / 1000)
const event = 'http://schemas.openid.net/event/backchannel-logout'
const good = () => ({ aud: 'bff', events: { [event]: {} }, jti: crypto.randomUUID() })
const send = async (token: string) => {
  const response = await request('/auth/backchannel-logout', {
    method: 'POST',
    body: new URLSearchParams({ logout_token: token }),
  })
  return response.status
}

test('a good logout token ends the sessions of its subject, once', async () => {
  const { cookie } = await signIn()
  const token = await provider.sign({ claims: good(), header: { typ: 'logout+jwt' } })
  expect(await send(token)).toBe(200)
  expect((await request('/auth/me', { headers: { cookie: cookie! } })).status).toBe(401)
  // Replayed, it would end the sessions that were begun since.
  expect(await send(token)).toBe(400)
})

// Keycloak sends one once: refused for a clock that an ID token may come from, it would leave the session as it is.
test.each<[string, () => Said]>([
  ['for several clients', () => ({ claims: { ...good(), aud: ['another', 'bff'] } })],
  ['of a provider whose clock is ahead', () => ({ claims: { ...good(), iat: seconds() + 20 } })],
  ['of a provider whose clock is behind', () => ({ claims: { ...good(), exp: seconds() - 20 } })],
])('a logout token %s ends the sessions of its subject', async (_what, said) => {
  const { cookie } = await signIn()
  expect(await send(await provider.sign(said()))).toBe(200)
  expect((await request('/auth/me', { headers: { cookie: cookie! } })).status).toBe(401)
})

test('one that could not end them is good when it is sent again', async () => {
  const { cookie } = await signIn()
  const token = await provider.sign({ claims: good() })
  stack.store.isAway = true
  expect(await send(token)).toBe(503)
  stack.store.isAway = false
  expect(await send(token)).toBe(200)
  expect((await request('/auth/me', { headers: { cookie: cookie! } })).status).toBe(401)
  expect(await send(token)).toBe(400)
})

test.each([
  ['is unwell', 503],
  ['answers with something else', 200],
])(
  'one that cannot be checked, for the provider %s instead of its keys, is good again later',
  async (_what, status) => {
    provider.hideKeys(status)
    const token = await provider.sign({ claims: good() })
    expect(await send(token)).toBe(503)
    await provider.rotateKeys({ keepOld: true })
    expect(await send(token)).toBe(200)
  },
)

test.each<[string, () => Said]>([
  ['for another client', () => ({ claims: { ...good(), aud: 'another' } })],
  ['without an audience', () => ({ claims: { ...good(), aud: undefined } })],
  ['of another issuer', () => ({ claims: { ...good(), iss: 'https://evil.example' } })],
  ['without a time of issue', () => ({ claims: { ...good(), iat: undefined } })],
  ['that is old', () => ({ claims: { ...good(), iat: seconds() - 600 } })],
  ['from the future', () => ({ claims: { ...good(), iat: seconds() + 600, exp: seconds() + 900 } })],
  ['that has expired', () => ({ claims: { ...good(), exp: seconds() - 60 } })],
  ['without an id', () => ({ claims: { ...good(), jti: undefined } })],
  ['without the event', () => ({ claims: { ...good(), events: undefined } })],
  ['of another event', () => ({ claims: { ...good(), events: { 'https://evil.example': {} } } })],
  ['whose event is no object', () => ({ claims: { ...good(), events: { [event]: 'x' } } })],
  ['that is an ID token (nonce)', () => ({ claims: { ...good(), nonce: 'n' } })],
  ['that names neither subject nor session', () => ({ claims: { ...good(), sub: undefined } })],
  ['that is an access token by its type', () => ({ claims: good(), header: { typ: 'at+jwt' } })],
  ['that nobody has signed', () => ({ claims: good(), by: 'nobody' })],
  ['that somebody else has signed', () => ({ claims: good(), by: 'another key' })],
  ['signed with the public key as a secret', () => ({ claims: good(), header: { alg: 'HS256' } })],
])('a logout token %s ends nothing', async (_what, said) => {
  const { cookie } = await signIn()
  expect(await send(await provider.sign(said()))).toBe(400)
  expect((await request('/auth/me', { headers: { cookie: cookie! } })).status).toBe(200)
})

test('what is no token at all ends nothing', async () => {
  for (const body of ['', 'logout_token=', 'logout_token=x.y.z', `logout_token=${'a'.repeat(20_000)}`]) {
    const response = await request('/auth/backchannel-logout', {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body,
    })
    expect([400, 413]).toContain(response.status)
  }
  // As a fuzzer found: what says that it is multipart and is not.
  const malformed = await request('/auth/backchannel-logout', {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    body: 'logout_token',
  })
  expect(malformed.status).toBe(400)
})
