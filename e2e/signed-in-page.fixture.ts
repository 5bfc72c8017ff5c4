import type { Browser, BrowserContextOptions, Page } from 'playwright-core'

/** A cold browser, signed in through the pages as a person would. */
export async function signInPage(
  browser: Browser,
  url: string,
  username: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; problems: () => string[] }> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
  await page.goto(url)
  await page.getByRole('link', { name: /sign in/i }).click()
  await page.getByLabel(/user/i).fill(username)
  await page.getByLabel(/password/i).fill(username)
  await page.getByRole('button', { name: /sign in/i }).click()
  await page.getByTestId('freshness').waitFor()
  // Who was not signed in yet was told so.
  return { page, problems: () => problems.filter((problem) => !/401/.test(problem)) }
}
