import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { cutStreams } from './cut-streams.fixture.ts'
import { fuzz } from './schemathesis.fixture.ts'
import { signIn, startTestTendon, type TestTendon } from './test-tendon.fixture.ts'
import { userToken } from './user-token.fixture.ts'

let tendon: TestTendon
beforeAll(async () => {
  // A fuzzer asks more than a person may.
  vi.stubEnv('LOGINS_PER_MINUTE', '1000000')
  vi.stubEnv('API_REQUESTS_PER_MINUTE', '1000000')
  vi.stubEnv('API_REQUESTS_PER_MINUTE_PER_ADDRESS', '1000000')
  tendon = await startTestTendon()
}, 120_000)
afterAll(async () => {
  vi.unstubAllEnvs()
  await tendon?.stop()
})

async function cookieOf(username: string): Promise<string> {
  const { browser } = await signIn(tendon, username)
  return `session_id=${browser.cookie('session_id')!.value}`
}

/** These end the session that the others need, or do not end by themselves. */
const apart = ['/auth/logout', '/auth/sessions', '/api/events']

test('the bff answers what its description says, whatever a patient or the staff ask', async () => {
  for (const username of ['alice', 'staff']) {
    const headers = { cookie: await cookieOf(username), 'x-tendon-csrf': '1' }
    expect(await fuzz({ url: tendon.url, headers, exclude: apart })).toBe('')
  }
}, 170_000)

test('and so it does where the session ends, and where an answer has no end', async () => {
  const cut = await cutStreams(tendon.url)
  try {
    for (const path of apart) {
      for (const username of ['alice', 'staff']) {
        const headers = { cookie: await cookieOf(username), 'x-tendon-csrf': '1' }
        expect(await fuzz({ url: cut.url, headers, only: [path] }), path).toBe('')
      }
    }
  } finally {
    await cut.close()
  }
}, 170_000)

async function serviceToken(): Promise<string> {
  const { OIDC_ISSUER: issuer, CDC_CLIENT_SECRET: clientSecret } = tendon.settings
  const token = createServiceTokenSource({ issuer, clientId: 'tendon-cdc', clientSecret })
  return `Bearer ${await token()}`
}

test('the reports service answers what its description says, whatever a service account, a patient or the staff ask', async () => {
  const tokens = [await serviceToken(), await userToken(tendon, 'alice'), await userToken(tendon, 'staff')]
  for (const authorization of tokens) {
    expect(await fuzz({ url: tendon.settings.REPORTS_SERVICE_URL, headers: { authorization } })).toBe('')
  }
}, 170_000)
