import { readFile } from 'node:fs/promises'
import { reportLink } from '@tendon/contracts/reports-api.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import pg from 'pg'
import { type Browser, chromium, type Page, type Request, type Route } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signInPage } from './signed-in-page.fixture.ts'
import { startTendonOnStores } from './tendon-on-stores.fixture.ts'

let tendon: Awaited<ReturnType<typeof startTendonOnStores>>
let browser: Browser

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  tendon = await startTendonOnStores()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await tendon?.stop()
})

const dayAfter = (day: string) => new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10)

async function inCrm(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: tendon.settings.CRM_DATABASE_URL })
  await client.connect()
  try {
    await client.query(sql, [demoPeople.alice.customerId])
  } finally {
    await client.end()
  }
}

/** The first two statuses that the page sees of such an address from now on. */
function answersTo(page: Page, path: string): () => number[] {
  const statuses: number[] = []
  page.on('response', (response) => response.url().includes(path) && statuses.push(response.status()))
  return () => statuses.slice(0, 2)
}

test("the browser takes the report from nginx, which has it from MinIO, by a link of the service's", async () => {
  const { page, problems } = await signInPage(browser, tendon.url, 'alice')
  const [link, report] = await Promise.all([
    page.waitForResponse((response) => response.url().includes('/api/reports/cdn/')),
    page.waitForResponse((response) => response.url().startsWith(`${tendon.cdnUrl}/reports/`)),
    page.reload(),
  ])
  expect(report.url()).toBe(reportLink.parse(await link.json()).url)
  expect(report.status()).toBe(200)
  expect(report.headers()).toMatchObject({
    server: 'nginx',
    'access-control-allow-origin': tendon.url,
    'content-encoding': 'gzip',
    'cache-control': expect.stringMatching(/^private, max-age=\d+, immutable$/),
  })
  expect(await report.json()).toMatchObject({ report: 'prosthesis-daily' })
  expect(problems()).toEqual([])
})

test('a patient reads trend and service history, and takes the numbers along', async () => {
  // On a journey: for half of each day it is the day before there.
  const { page, problems } = await signInPage(browser, tendon.url, 'alice', {
    timezoneId: 'Pacific/Pago_Pago',
  })
  await page.getByRole('link', { name: 'Trend' }).click()
  const trend = page.getByTestId('trend')
  await trend.waitFor()
  await page.getByLabel('90 days').check()
  await page.getByRole('slider').first().waitFor()
  await expect
    .poll(() => page.getByRole('slider').first().getAttribute('max'), { timeout: 10_000 })
    .toBe('89')
  expect(await page.getByRole('slider').first().getAttribute('aria-valuetext')).toMatch(
    /yours .*median of up to \d+/,
  )
  const saving = page.waitForEvent('download')
  await page.getByRole('button', { name: 'CSV' }).click()
  const saved = await saving
  const numbers = await readFile(await saved.path(), 'utf8')
  expect(numbers).toMatch(/^prosthesis_id,serial_number,model,day,error_rate,model_error_rate,.*_days.*\r\n/)
  // The newest of her days, which by her clock may have begun already.
  const [, , , newest] = numbers.trimEnd().split('\r\n').at(-1)!.split(',')
  expect(saved.suggestedFilename()).toBe(`prosthesis-trend-${newest}.csv`)

  await page.getByRole('link', { name: 'Service history' }).click()
  await page.getByText('First recorded').first().waitFor()
  await inCrm("UPDATE prostheses SET firmware_version = '77.1.0' WHERE customer_id = $1")
  await page.getByTestId('history-entry').filter({ hasText: '77.1.0' }).first().waitFor({ timeout: 5_000 })
  expect(problems()).toEqual([])
})

test('a day that goes on is not compared with whole days, and is once it is over', async () => {
  const { page, problems } = await signInPage(browser, tendon.url, 'alice')
  const day = (await page.getByTestId('report').getAttribute('data-date'))!
  let etlAt = `${day}T06:00:00Z`
  await page.route('**/api/reports/cdn/*', async (route) => {
    const answer = await route.fetch()
    const link = reportLink.parse(await answer.json())
    link.freshness.etl_at = etlAt
    await route.fulfill({ response: answer, json: link })
  })
  await page.reload()
  await page.getByTestId('unfinished-day').waitFor()
  const movements = page.getByTestId('measure-movements').first()
  expect(await movements.textContent()).toMatch(/so far$/)
  expect(await page.getByText('30-day mean').count()).toBe(0)
  expect(await page.locator('.range-strip').count()).toBe(0)
  expect(await page.getByRole('slider').first().getAttribute('aria-valuetext')).toMatch(/ so far: /)

  etlAt = `${dayAfter(day)}T06:00:00Z`
  await page.reload()
  await movements.getByText('30-day mean').waitFor()
  expect(await page.getByText('so far').count()).toBe(0)
  expect(problems()).toEqual([])
})

test('a day without data says so, and has no numbers to take along', async () => {
  const { page, problems } = await signInPage(browser, tendon.url, 'alice')
  const downloads = page.getByText('Take a copy with you')
  await downloads.waitFor()
  const report = page.getByTestId('report')
  const day = await report.getAttribute('data-date')
  // Her devices sent nothing that day; what they sent before is there.
  await page.route(`${tendon.cdnUrl}/reports/prosthesis-daily/**`, async (route) => {
    const answer = await route.fetch()
    const json = await answer.json()
    json.rows = json.rows.filter((row: { day: string }) => row.day !== day)
    await route.fulfill({ response: answer, json })
  })
  await page.reload()
  await report.getByTestId('empty-day').waitFor()
  expect(await downloads.count()).toBe(0)
  // The same of one that is typed, and that no button leads to.
  const box = page.getByLabel('Day of the report')
  await box.fill('2020-01-01')
  await box.press('Enter')
  await page.getByText('No data for Wednesday, 1 January 2020').waitFor()
  expect(problems()).toEqual([])
})

test('with events, a page that is open asks seldom and still shows a change at once', async () => {
  const { page, problems } = await signInPage(browser, tendon.url, 'alice')
  await page.getByTestId('customer-name').waitFor()
  // Twice a poll without events would take this long; the first one after the stream stood is past then.
  await page.waitForResponse((response) => response.url().includes('/api/reports/cdn/'))
  const asked: Request[] = []
  page.on('request', (request) => request.url().includes('/api/reports/cdn/') && asked.push(request))
  await inCrm("UPDATE customers SET full_name = 'Alice at Once' WHERE id = $1")
  await page.getByText('Alice at Once').first().waitFor({ timeout: 5_000 })
  expect(asked.length).toBeLessThanOrEqual(3)
  // Nobody touched the page meanwhile: what it asks by itself keeps no session alive.
  for (const request of asked) expect(request.headers()['x-tendon-background']).toBe('1')
  expect(problems()).toEqual([])
})

test('staff see the fleet, and from a device the reports of who has it', async () => {
  const { page, problems } = await signInPage(browser, tendon.url, 'staff')
  const device = page.getByTestId('worst-device').first()
  await device.waitFor()
  expect(await page.getByTestId('fleet').getByRole('table').count()).toBe(2)
  // It opens on a day that is over everywhere; the next one goes on for somebody.
  expect(await page.getByTestId('unfinished-day').count()).toBe(0)
  await page.getByRole('button', { name: 'Next day' }).click()
  await page.getByTestId('unfinished-day').waitFor()
  expect(await page.getByRole('columnheader', { name: /so far$/ }).count()).toBe(1)
  await page.goBack()
  await page.getByTestId('unfinished-day').waitFor({ state: 'detached' })
  const serial = await device.getByRole('link').textContent()
  await device.getByRole('link').click()
  await page.getByTestId('trend-card').filter({ hasText: serial! }).waitFor()
  const name = await page.getByRole('heading', { level: 1 }).getByTestId('customer-name').textContent()
  await page.getByRole('link', { name: 'Service history' }).click()
  await page.getByRole('heading', { level: 1, name: `Service history of ${name}` }).waitFor()
  await page.getByRole('link', { name: 'Fleet' }).click()
  await page.getByTestId('worst-device').first().waitFor()
  expect(problems()).toEqual([])
})

test('staff find a customer by name, by the keyboard alone, and are told when there is none', async () => {
  const { page, problems } = await signInPage(browser, tendon.url, 'staff')
  await page.getByRole('link', { name: 'By customer' }).click()
  const field = page.getByRole('searchbox')
  await field.fill('no such person')
  await field.press('Enter')
  await page.getByText('Nobody was found for “no such person”.').waitFor()
  await field.fill('alice@example')
  await field.press('Enter')
  const found = page.getByTestId('staff-form').getByRole('link')
  await found.waitFor()
  expect(await found.count()).toBe(1)
  await found.focus()
  await page.keyboard.press('Enter')
  await page.getByTestId('report').waitFor()
  expect(page.url()).toContain(demoPeople.alice.customerId)
  expect(problems()).toEqual([])
})

test('staff who ask for somebody who is no customer are told so', async () => {
  const { page } = await signInPage(browser, tendon.url, 'staff')
  await page.goto(`${tendon.url}/?user_id=dead`)
  await page.getByText("“dead” is no customer's id.").waitFor()
  expect(await page.getByRole('button', { name: 'Sign this customer out everywhere' }).count()).toBe(0)
  await page.goto(`${tendon.url}/?user_id=00000000-0000-4000-8000-00000000dead`)
  await page.getByRole('heading', { name: 'There is no such customer' }).waitFor()
})

test('a page whose question is overtaken by a sign-in in another tab goes on', async () => {
  const { page, problems } = await signInPage(browser, tendon.url, 'alice')
  const context = page.context()
  const [session] = (await context.cookies()).filter(({ name }) => name === 'session_id')
  const other = await context.newPage()
  await other.goto(`${tendon.url}/auth/login`)
  await other.getByTestId('freshness').waitFor()

  // What was asked with the former session, and is answered after its end.
  const overtaken = async (route: Route) => {
    const headers = { ...route.request().headers(), cookie: `session_id=${session!.value}` }
    const response = await route.fetch({ headers })
    expect(response.status()).toBe(401)
    await route.fulfill({ response })
  }
  await page.route('**/api/reports/cdn/**', overtaken, { times: 1 })
  const answers = answersTo(page, '/api/reports/cdn/')
  await page.getByRole('button', { name: 'Previous day' }).click()
  await expect.poll(answers).toEqual([401, 200])
  await page.getByTestId('customer-name').waitFor()
  expect(await page.getByRole('link', { name: /sign in/i }).count()).toBe(0)
  expect(problems()).toEqual([])
})

test('a sign-in that ended after it was listed is not said to be ended; staff end all that there are', async () => {
  const { page: other } = await signInPage(browser, tendon.url, 'bob')
  const { page } = await signInPage(browser, tendon.url, 'bob')
  await page.getByRole('button', { name: 'Where you are signed in' }).click()
  const listed = page.getByRole('dialog').getByTestId('session')
  await listed.nth(1).waitFor()
  // A new session takes the place of the one that is listed.
  await other.goto(`${tendon.url}/auth/login`)
  await other.getByTestId('customer-name').waitFor()
  await page.getByRole('button', { name: 'Sign out there' }).click()
  await page.getByText(/^That sign-in had ended already: Chrome.* on Linux\./).waitFor()
  expect(await listed.count()).toBe(2)
  await page.getByRole('button', { name: 'Sign out there' }).click()
  await page.getByText(/^Signed out there: Chrome.* on Linux\.$/).waitFor()
  await other.reload()
  await other.getByRole('link', { name: /sign in/i }).waitFor()

  const { page: staffs } = await signInPage(browser, tendon.url, 'staff')
  await staffs.getByRole('button', { name: 'Where you are signed in' }).click()
  const named = staffs.getByRole('dialog').getByRole('textbox', { name: /user name/i })
  const answerTo = async (username: string, text: string) => {
    await named.fill(username)
    await named.press('Enter')
    await staffs.getByRole('dialog').getByText(text).waitFor()
  }
  await answerTo('..', 'Nobody of the user name “..” was signed in of late.')
  await answerTo('bob', 'Signed out everywhere: bob (1 sign-in).')
  await page.reload()
  await page.getByRole('link', { name: /sign in/i }).waitFor()
})

test('staff sign a customer out from the page of that customer, by the keyboard alone', async () => {
  const { page } = await signInPage(browser, tendon.url, 'bob')
  const { page: staffs, problems } = await signInPage(browser, tendon.url, 'staff')
  await staffs.goto(`${tendon.url}/?user_id=${demoPeople.bob.customerId}`)
  await staffs.getByRole('button', { name: 'Sign this customer out everywhere' }).press('Enter')
  await staffs.getByRole('dialog').getByRole('button', { name: 'Sign them out' }).press('Enter')
  await staffs.getByText('Signed out: 1 sign-in.').waitFor()
  expect(await staffs.locator(':focus').textContent()).toBe('Sign this customer out everywhere')
  await page.getByRole('link', { name: /sign in/i }).waitFor()
  expect(problems()).toEqual([])
})

test('a person sees where they are signed in, ends a session there, and then all', async () => {
  const { page: other } = await signInPage(browser, tendon.url, 'bob')
  const { page, problems } = await signInPage(browser, tendon.url, 'bob')
  await page.getByRole('button', { name: 'Where you are signed in' }).click()
  const listed = page.getByRole('dialog').getByTestId('session')
  await listed.nth(1).waitFor()
  expect(await listed.filter({ hasText: '(this one)' }).count()).toBe(1)
  expect(await listed.first().textContent()).toMatch(
    /Chrome.* on Linux \(this one\)127\.0\.0\.1, used .*(ago|now), signed in \d+ \w+ \d{4}, \d\d:\d\d/,
  )
  await page.getByRole('button', { name: 'Sign out there' }).click()
  await listed.nth(1).waitFor({ state: 'detached' })
  await page.getByText(/^Signed out there: Chrome.* on Linux\.$/).waitFor()
  // By itself: its events are over.
  await other.getByRole('link', { name: /sign in/i }).waitFor()

  await page.getByRole('button', { name: 'Sign out everywhere' }).click()
  await page.getByText('You are signed out.').waitFor()
  await page.reload()
  await page.getByRole('link', { name: /sign in/i }).waitFor()
  expect(problems()).toEqual([])
})
