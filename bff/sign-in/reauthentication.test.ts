import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { expect, test } from 'vitest'
import { accountOf } from '../sessions/session-index.ts'
import { createReauthentication } from './reauthentication.ts'

const nowMs = 1_764_150_000_000

test.each([
  ['in milliseconds', nowMs],
  ['in seconds, as older versions did', nowMs / 1000],
])('a demand that was written down %s counts', async (_how, writtenAs) => {
  const keyValue = createMemoryKeyValue()
  const reauthentication = createReauthentication({ keyValue, now: () => writtenAs })
  await reauthentication.require(accountOf('alice'))
  const askedAtMs = nowMs + 60_000
  const isSatisfied = (sinceSeconds: number) => {
    const iat = askedAtMs / 1000
    return reauthentication.isSatisfied(
      { sub: 'alice', roles: [], iat, auth_time: iat - sinceSeconds },
      askedAtMs,
    )
  }
  expect([await isSatisfied(120), await isSatisfied(30)]).toEqual([false, true])
})
