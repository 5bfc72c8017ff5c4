import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { TestBrowser } from './fixtures/test-browser.fixture.ts'
import { openKeycloakTestProvider } from './fixtures/test-provider-keycloak.fixture.ts'
import { startSuiteStack } from './fixtures/test-stack.fixture.ts'
import { attacksSuite } from './gateway/attacks.suite.ts'
import { rateLimitsSuite } from './protection/rate-limits.suite.ts'
import { directoryChangesSuite } from './sessions/directory-changes.suite.ts'
import { lostTokensSuite } from './sessions/lost-tokens.suite.ts'
import { refreshTokensSuite } from './sessions/refresh-tokens.suite.ts'
import { sessionListSuite } from './sessions/session-list.suite.ts'
import { sessionsSuite } from './sessions/sessions.suite.ts'
import { signOutSuite } from './sessions/sign-out.suite.ts'
import { storedSessionsSuite } from './sessions/stored-sessions.suite.ts'
import { signInSuite } from './sign-in/sign-in.suite.ts'

const log = createLog({ service: 'test', level: 'fatal' })
const name = 'Keycloak with OpenLDAP, sessions in Redis'
const options = {
  openProvider: openKeycloakTestProvider,
  openKeyValue: () =>
    createRedisKeyValue({ url: z.string('REDIS_URL is not set').parse(process.env.REDIS_URL), log }),
}

signInSuite(name, options)
attacksSuite(name, options)
sessionsSuite(name, options)
signOutSuite(name, options)
sessionListSuite(name, options)
storedSessionsSuite(name, options)
refreshTokensSuite(name, options)
directoryChangesSuite(name, options)
lostTokensSuite(name, options)
// Counted by address, and all tests have one: Redis has them in its own suite.
rateLimitsSuite(name, { ...options, isShared: false })

test('a client secret is changed at Keycloak and then here: in between people wait, and stay signed in', async () => {
  const provider = await openKeycloakTestProvider()
  const stack = await startSuiteStack({ ...options, openProvider: async () => provider })
  try {
    const browser = new TestBrowser()
    await browser.signIn(stack.loginUrl, 'alice')
    const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}` }
    const ask = async (url: string) => (await fetch(`${url}/api/reports`, { headers })).status
    await provider.changeClientSecret('the-next-one')
    expect(await ask(stack.url)).toBe(200)
    // When the access token is due for another.
    stack.clock.skewMs = 301_000
    expect(await ask(stack.url)).toBe(503)
    const restarted = await stack.startBff({ clientSecret: 'the-next-one' })
    expect(await ask(restarted.server.url)).toBe(200)
  } finally {
    await stack.stop()
  }
})

test('the form of a tab whose time is over leads on where another tab has signed in', async () => {
  const stack = await startSuiteStack(options)
  try {
    const browser = new TestBrowser()
    const form = await browser.open(`${stack.loginUrl}?return_to=/reports`)
    await browser.signIn(stack.loginUrl, 'alice')
    const session = browser.cookie('session_id')!.value
    // As after half an hour: what is left is the session of the tab that signed in.
    for (const [key, { name }] of browser.cookies) {
      if (/^(AUTH_SESSION_ID|KC_RESTART)/.test(name)) browser.cookies.delete(key)
    }
    const sent = await browser.submit(form, { username: 'alice', password: 'alice' }, `${stack.url}/callback`)
    expect(sent.url.searchParams.get('error_description')).toBe('authentication_expired')
    const page = await browser.request(sent.url)
    expect([page.status, page.headers.get('location')], page.text).toEqual([303, '/reports'])
    expect(browser.cookie('session_id')!.value).toBe(session)
  } finally {
    await stack.stop()
  }
})
