import { expect } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import type { TestStack } from './test-stack.fixture.ts'

export const csrf = { 'x-tendon-csrf': '1' }
export const minutes = 60_000

/** A browser that has just signed in. */
export async function signedInBrowser(
  { loginUrl }: Pick<TestStack, 'loginUrl'>,
  username = 'alice',
): Promise<TestBrowser> {
  const browser = new TestBrowser()
  const end = await browser.signIn(loginUrl, username)
  expect(browser.cookie('session_id'), end.text).toBeDefined()
  return browser
}

/** Somebody up to the moment when the provider sends the browser back. @returns where to */
export async function signInUntilCallback(
  { url, loginUrl }: Pick<TestStack, 'url' | 'loginUrl'>,
  browser: TestBrowser,
  username = 'alice',
): Promise<URL> {
  const page = await browser.signIn(loginUrl, username, `${url}/callback`)
  expect(page.url.pathname, page.text).toBe('/callback')
  return page.url
}

/** Its session as a header, for who asks in its place. */
export const cookieOf = (browser: TestBrowser) => ({
  cookie: `session_id=${browser.cookie('session_id')!.value}`,
})
