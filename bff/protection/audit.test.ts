import type { HttpEnv } from '@tendon/platform/http-app.ts'
import { createLog } from '@tendon/platform/log.ts'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { createAudit } from './audit.ts'

test('a log of errors alone has the audit all the same', async () => {
  const lines: string[] = []
  const log = createLog({ service: 'bff', level: 'error' }, { write: (line) => void lines.push(line) })
  const audit = createAudit({ log, clientAddress: () => '192.0.2.1' })
  const app = new Hono<HttpEnv>().get('/', (c) => {
    audit(c, { action: 'sign_out', outcome: 'done' })
    return c.body(null)
  })
  await app.request('/')
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ stream: 'audit', action: 'sign_out' }])
})
