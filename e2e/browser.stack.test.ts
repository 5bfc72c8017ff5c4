import { demoPeople } from '@tendon/sources/demo-people.ts'
import pg from 'pg'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInPage } from './signed-in-page.fixture.ts'
import { startTestTendon, type TestTendon } from './test-tendon.fixture.ts'

let tendon: TestTendon
let browser: Browser

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  tendon = await startTestTendon()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await tendon?.stop()
})

test('alice signs in, and her page shows the change of the CRM without being loaded again', async () => {
  const alices = await signInPage(browser, tendon.url, 'alice')
  const bobs = await signInPage(browser, tendon.url, 'bob')
  const name = alices.page.getByTestId('customer-name')
  expect(await name.textContent()).toContain(demoPeople.alice.fullName)
  const loads: string[] = []
  alices.page.on('load', () => loads.push(alices.page.url()))
  const bobsName = await bobs.page.getByTestId('customer-name').textContent()

  const client = new pg.Client({ connectionString: tendon.settings.CRM_DATABASE_URL })
  await client.connect()
  await client.query("UPDATE customers SET full_name = 'Alice Pleasance' WHERE id = $1", [
    demoPeople.alice.customerId,
  ])
  await client.end()
  await alices.page.getByText('Alice Pleasance').first().waitFor({ timeout: 5_000 })

  expect(loads).toEqual([])
  expect(await bobs.page.getByTestId('customer-name').textContent()).toBe(bobsName)
  const tokenlike = await alices.page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
  )
  expect(tokenlike).not.toMatch(/eyJ/)

  await alices.page.getByRole('button', { name: /sign out/i }).click()
  await alices.page.getByText('You are signed out.').waitFor()
  expect(alices.problems()).toEqual([])
  expect(bobs.problems()).toEqual([])
})

test('who signs out in one tab is signed out in the others, whatever they hear of the server', async () => {
  const { page } = await signInPage(browser, tendon.url, 'alice')
  const other = await page.context().newPage()
  await other.goto(tendon.url)
  await other.getByTestId('customer-name').waitFor()
  await other.route('**/*', (route) => route.abort())
  await page.getByRole('button', { name: /sign out/i }).click()
  await other.getByText('Your session has ended.').waitFor({ timeout: 5_000 })
  expect(await other.getByTestId('customer-name').count()).toBe(0)
  await page.context().close()
})

test('a tab shows whose report it is when somebody else has signed in in another', async () => {
  const { page } = await signInPage(browser, tendon.url, 'alice')
  await page.context().clearCookies()
  const other = await page.context().newPage()
  await other.goto(tendon.url)
  await other.getByRole('link', { name: /sign in/i }).click()
  await other.getByLabel(/user/i).fill('bob')
  await other.getByLabel(/password/i).fill('bob')
  await other.getByRole('button', { name: /sign in/i }).click()
  await other.getByTestId('customer-name').waitFor()
  await page.getByTestId('user-name').getByText('bob').waitFor({ timeout: 5_000 })
  await page.getByTestId('customer-name').getByText(demoPeople.bob.fullName).waitFor()
  await page.context().close()
})
