import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fuzz } from './schemathesis.fixture.ts'
import { signIn, startTestTendon, type TestTendon } from './test-tendon.fixture.ts'

let tendon: TestTendon
beforeAll(async () => {
  // A fuzzer asks more than a person may.
  process.env.LOGINS_PER_MINUTE = '1000000'
  process.env.API_REQUESTS_PER_MINUTE = '1000000'
  process.env.API_REQUESTS_PER_MINUTE_PER_ADDRESS = '1000000'
  tendon = await startTestTendon()
}, 120_000)
afterAll(() => tendon?.stop())

async function cookieOf(username: string): Promise<string> {
  const { browser } = await signIn(tendon, username)
  return `session_id=${browser.cookie('session_id')!.value}`
}

/** These end the session that the others need; streams do not end. */
const ending = ['/auth/logout', '/auth/sessions', '/api/events']

test('the bff answers what its description says, whatever a patient or the staff ask', async () => {
  for (const username of ['alice', 'staff']) {
    const headers = { cookie: await cookieOf(username), 'x-tendon-csrf': '1' }
    expect(await fuzz({ url: tendon.url, headers, exclude: ending })).toBe('')
  }
}, 170_000)

test('the reports service answers what its description says, whatever a service account asks', async () => {
  const { OIDC_ISSUER: issuer, CDC_CLIENT_SECRET: clientSecret } = tendon.settings
  const token = createServiceTokenSource({ issuer, clientId: 'tendon-cdc', clientSecret })
  const headers = { authorization: `Bearer ${await token()}` }
  expect(await fuzz({ url: tendon.settings.REPORTS_SERVICE_URL, headers, exclude: [] })).toBe('')
}, 170_000)
