import type { HttpEnv } from '@tendon/platform/http-app.ts'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { visitOf } from './visit.ts'

test.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox on Linux'],
  ['curl/8.0', 'unknown browser'],
  ['<script>alert(1)</script>', 'unknown browser'],
  [undefined, 'unknown device'],
])('a device has a name that a person knows: %s', async (userAgent, device) => {
  const app = new Hono<HttpEnv>().get('/', (c) => c.json(visitOf(c, () => '192.0.2.1')))
  const answer = await app.request('/', {
    headers: userAgent === undefined ? {} : { 'user-agent': userAgent },
  })
  expect(await answer.json()).toEqual({ device, address: '192.0.2.1' })
})
