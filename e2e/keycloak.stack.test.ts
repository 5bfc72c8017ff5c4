import type { TestProvider } from '@tendon/bff/fixtures/test-provider.fixture.ts'
import { openKeycloakTestProvider } from '@tendon/bff/fixtures/test-provider-keycloak.fixture.ts'
import { freePort } from '@tendon/platform/free-port.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import pg from 'pg'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startTestTendon, type TestTendon } from './test-tendon.fixture.ts'
import { userToken } from './user-token.fixture.ts'

let provider: TestProvider
let tendon: TestTendon
let browser: Browser

const attached = ['OIDC_ISSUER', 'OIDC_BFF_SECRET', 'OIDC_CDC_SECRET', 'OIDC_ETL_SECRET', 'REDIS_URL']

function environment(): Record<string, string> {
  return Object.fromEntries(
    attached.map((name) => {
      const value = process.env[name]
      if (!value) throw new Error(`${name} is not set: this suite needs Keycloak, OpenLDAP and Redis`)
      return [name, value]
    }),
  )
}

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  provider = await openKeycloakTestProvider()
  const port = await freePort('127.0.0.1')
  vi.stubEnv('OIDC_CLIENT_ID', provider.clientId)
  await provider.register({ url: `http://localhost:${port}`, backchannelUrl: `http://127.0.0.1:${port}` })
  tendon = await startTestTendon({
    env: { PORT: String(port), ...environment() },
  })
}, 180_000)
afterAll(async () => {
  await browser?.close()
  await tendon?.stop()
  await provider?.close()
  vi.unstubAllEnvs()
})

/** A cold browser at Keycloak's own form, with these filled in and sent. */
async function submitForm(username: string, password: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  await page.goto(tendon.url)
  await page.getByRole('link', { name: /sign in/i }).click()
  await fillForm(page, username, password)
  return page
}

/** A cold browser on the report. Like `TestBrowser.signIn`, it asks Keycloak again. */
async function signIn(username: string): Promise<Page> {
  const page = await submitForm(username, username)
  const name = page.getByTestId('customer-name')
  const refused = page.getByText(/invalid username or password/i).first()
  await vi.waitFor(
    async () => {
      await name.or(refused).waitFor()
      if (await refused.isVisible()) await fillForm(page, username, username)
      await name.waitFor({ timeout: 5_000 })
    },
    { timeout: 30_000, interval: 100 },
  )
  return page
}

async function fillForm(page: Page, username: string, password: string): Promise<void> {
  await page.locator('#username').fill(username)
  await page.locator('#password').fill(password)
  await page.locator('#kc-login').click()
}

test('from a cold browser through the form of Keycloak to the report, its change, and out again', async () => {
  const page = await signIn('alice')
  const name = page.getByTestId('customer-name')
  expect(await name.textContent()).toContain(demoPeople.alice.fullName)
  const visible = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]),
  )
  expect(visible).not.toMatch(/eyJ|session_id/)

  // The change feed calls POST /invalidate with a token that Keycloak gave to its own account.
  const client = new pg.Client({ connectionString: tendon.settings.CRM_DATABASE_URL })
  await client.connect()
  await client.query("UPDATE customers SET full_name = 'Alice Pleasance' WHERE id = $1", [
    demoPeople.alice.customerId,
  ])
  await client.end()
  await page.getByText('Alice Pleasance').first().waitFor({ timeout: 15_000 })

  await page.getByRole('button', { name: /sign out/i }).click()
  await page.getByText('You are signed out.').waitFor()
  expect(page.url()).toBe(`${tendon.url}/`)
  // Signed out at Keycloak too: it asks for the password again.
  await page.getByRole('link', { name: /sign in/i }).click()
  await page.locator('#password').waitFor()
})

test('back from the report leads by Keycloak, and to the report again', async () => {
  const page = await signIn('bob')
  const name = page.getByTestId('customer-name')
  const usedAgain = page.waitForResponse((response) => response.url().includes('/callback?'))
  await page.goBack()
  expect((await usedAgain).status()).toBe(303)
  await name.waitFor()
  expect(page.url()).toBe(`${tendon.url}/`)
  await page.context().close()
})

test('whose sign-in Keycloak has lost is told so, and led back', async () => {
  const page = await (await browser.newContext()).newPage()
  await page.goto(tendon.url)
  await page.getByRole('link', { name: /sign in/i }).click()
  await page.locator('#password').waitFor()
  await page.context().clearCookies()
  await fillForm(page, 'alice', 'alice')
  await page.getByText(/cookie not found/i).waitFor()
  await page.getByRole('link', { name: /back to application/i }).click({ timeout: 5_000 })
  await page.getByRole('link', { name: /sign in/i }).waitFor()
  expect(page.url()).toBe(`${tendon.url}/`)
  await page.context().close()
})

test('the token that Keycloak gives for a person reads their reports, and may not invalidate', async () => {
  const { REPORTS_SERVICE_URL: service } = tendon.settings
  const authorization = await userToken(tendon, 'alice', provider.clientId)
  expect((await fetch(`${service}/reports`, { headers: { authorization } })).status).toBe(200)
  const answer = await fetch(`${service}/invalidate`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ user_id: demoPeople.alice.customerId }),
  })
  expect([answer.status, (await answer.json()).code]).toEqual([403, 'TENDON-REPORTS-006'])
})

test.each([
  ['a wrong password', 'alice', 'not-her-password', /invalid username or password/i],
  ['an account that the directory says is disabled', 'carol', 'carol', /disabled|invalid/i],
  ['an account that the directory has locked', 'erin', 'erin', /invalid username or password/i],
])('%s goes no further than the form', async (_what, username, password, message) => {
  const page = await submitForm(username, password)
  await page.getByText(message).first().waitFor()
  await page.goto(`${tendon.url}/auth/me`)
  expect(await page.textContent('body')).toContain('TENDON-BFF-001')
  await page.context().close()
})
