import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { expect, onTestFinished, test, vi } from 'vitest'
import { TestBrowser } from './test-browser.fixture.ts'
import { startTestStack } from './test-stack.fixture.ts'

const log = createLog({ service: 'test', level: 'fatal' })

function redisUrl(): string {
  const url = process.env.REDIS_URL
  if (!url) throw new Error('REDIS_URL is not set: this suite needs a Redis')
  return url
}

test('two instances with a Redis between them refresh once, and a sign-out at one is one at the other', async () => {
  const url = redisUrl()
  const stack = await startTestStack({ openKeyValue: () => createRedisKeyValue({ url, log }) })
  const cleaner = createRedisKeyValue({ url, log })
  onTestFinished(async () => {
    await stack.stop()
    for (const key of stack.written) if (key.startsWith('tendon:')) await cleaner.delete(key)
    await cleaner.close()
  })
  const second = await stack.startBff()
  const instances = [stack.bffs[0]!.server.url, second.server.url]
  await vi.waitFor(async () => {
    for (const instance of instances) expect((await fetch(`${instance}/readyz`)).status).toBe(200)
  })
  const browser = new TestBrowser()
  await browser.signIn(stack.loginUrl, 'alice')
  const headers = { cookie: `session_id=${browser.cookie('session_id')!.value}`, 'x-tendon-csrf': '1' }

  stack.clock.skewMs = 301_000
  const requests = Array.from({ length: 30 }, (_, index) =>
    fetch(`${instances[index % 2]}/api/reports`, { headers }),
  )
  const statuses = (await Promise.all(requests)).map(({ status }) => status)
  expect(statuses).toEqual(Array(30).fill(200))
  expect(stack.grants('tokens issued', 'refresh_token')).toBe(1)

  await fetch(`${instances[0]}/auth/logout`, { method: 'POST', headers })
  expect((await fetch(`${instances[1]}/api/reports`, { headers })).status).toBe(401)
})
