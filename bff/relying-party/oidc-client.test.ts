import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLog } from '@tendon/platform/log.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOidcClient } from './oidc-client.ts'
import { createProviderConnection } from './provider-connection.ts'

/** A provider whose token endpoint answers what a test tells it to. */
let server: Server
let issuer: string
let answer: { status: number; type: string; body: string }
let metadata: Record<string, string>
beforeAll(async () => {
  server = createServer((request, response) => {
    const isToken = request.url === '/token'
    const { status, type, body } = isToken
      ? answer
      : { status: 200, type: json, body: JSON.stringify(metadata) }
    response.writeHead(status, { 'content-type': type }).end(body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  metadata = whole()
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const json = 'application/json'
const whole = () => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
})
const openClient = (now = Date.now) =>
  createOidcClient({
    connection: createProviderConnection({
      issuer,
      internalUrl: undefined,
      clientId: 'bff',
      clientSecret: 'secret',
    }),
    redirectUri: 'http://localhost/callback',
    postLogoutRedirectUri: 'http://localhost/',
    now,
  })

test('only the answer that is about the token ends the session', async () => {
  answer = { status: 400, type: json, body: '{"error":"invalid_grant"}' }
  expect(await openClient().refresh('token', 'alice')).toEqual({ kind: 'refused' })
  const others = [
    { status: 401, type: json, body: '{"error":"invalid_client"}' },
    { status: 400, type: json, body: '{"error":"temporarily_unavailable"}' },
    { status: 500, type: json, body: '{"error":"server_error"}' },
    { status: 502, type: 'text/html', body: '<h1>Bad gateway</h1>' },
    { status: 200, type: 'text/html', body: '<h1>Welcome to the hotel</h1>' },
    { status: 200, type: json, body: '{}' },
  ]
  for (const other of others) {
    answer = other
    await expect(openClient().refresh('token', 'alice'), other.body).rejects.toMatchObject({
      code: 'TENDON-BFF-007',
    })
  }
})

test('an answer that cannot be understood is logged without the tokens in it', async () => {
  const tokens = { access_token: 'opaque-access', refresh_token: 'opaque-refresh', id_token: 'a.b.c' }
  const lines: string[] = []
  const log = createLog({ service: 'bff' }, { write: (line) => void lines.push(line) })
  const bodies = [
    JSON.stringify({ ...tokens, token_type: 'strange' }),
    JSON.stringify({ ...tokens, token_type: 'bearer', expires_in: 'soon' }),
    JSON.stringify({ ...tokens, token_type: 'bearer' }),
    `{"access_token":"opaque-access"`,
    JSON.stringify({ ...tokens, error: 'invalid_request', error_description: 'no' }),
  ]
  for (const body of bodies) {
    for (const status of [200, 400]) {
      answer = { status, type: json, body }
      const error = await openClient()
        .refresh('sent-token', 'alice')
        .then(() => expect.unreachable(body))
        .catch((err) => err)
      log.error({ err: error }, 'refresh failed')
    }
  }
  expect(lines).toHaveLength(10)
  expect(lines.join('')).toContain('TENDON-BFF-007')
  expect(lines.join('')).not.toMatch(/opaque|a\.b\.c|sent-token/)
})

test('metadata that lack what a sign-in needs are asked for again', async () => {
  const client = openClient()
  for (const missing of ['authorization_endpoint', 'token_endpoint', 'jwks_uri']) {
    metadata = { ...whole(), [missing]: '' }
    await expect(client.beginSignIn(), missing).rejects.toMatchObject({ code: 'TENDON-BFF-007' })
  }
  metadata = whole()
  expect((await client.beginSignIn()).url).toContain(`${issuer}/authorize?`)
})

test('however long tokens are good, the directory is heard within five minutes', async () => {
  const at = 1_000_000
  const client = openClient(() => at)
  for (const [lifetimeSeconds, renewAfterMs, usedForMs] of [
    [3_600, 270_000, 300_000],
    [300, 270_000, 300_000],
    [20, 10_000, 20_000],
  ] as const) {
    answer = {
      status: 200,
      type: json,
      body: JSON.stringify({ access_token: 'opaque', token_type: 'bearer', expires_in: lifetimeSeconds }),
    }
    expect(await client.refresh('token', 'alice')).toMatchObject({
      tokens: { accessTokenExpiresAtMs: at + usedForMs, renewAtMs: at + renewAfterMs },
    })
  }
})
