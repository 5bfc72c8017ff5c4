import { invalidateRequest, type invalidateResponse } from '@tendon/contracts/reports-api.ts'
import { createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { createHttpApp } from '@tendon/platform/http-app.ts'
import { listen } from '@tendon/platform/http-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { startTestProvider } from '@tendon/platform/test-provider.fixture.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { z } from 'zod'
import { reportsInWarehouse } from './patients.fixture.ts'

export type ToldReports = {
  /** Where a worker tells, and what it needs to be let in: variables of its environment. */
  settings: Record<string, string>
  /** What each user's report says that was made at the last time somebody told of them. */
  reports(): Map<string, string>
  calls(): number
  /** From now on calls get no answer, and nothing is made of them. Resolves when there is the first. */
  loseCalls(): Promise<void>
  answerCalls(): void
  stop(): Promise<void>
}

/** Stands where reports-service does: makes the report of whoever it is told of, at once, and never again by itself. */
export async function startToldReports(warehouse: Warehouse): Promise<ToldReports> {
  const issuer = 'http://id.tendon.invalid'
  const client = { clientId: 'tendon-cdc', clientSecret: 'secret-of-the-worker' }
  const provider = await startTestProvider({ issuer, ...client })
  const { internalUrl } = provider
  const verify = createAccessTokenVerifier({ issuer, audience: 'reports-service', internalUrl })
  const made = new Map<string, { call: number; text: string }>()
  let calls = 0
  let lost: PromiseWithResolvers<void> | undefined

  const log = createLog({ service: 'test', level: 'fatal' })
  const app = createHttpApp({ log, metrics: createMetrics('test') })
  app.post('/invalidate', async (c) => {
    await verify(c.req.header('authorization'))
    if (lost) {
      lost.resolve()
      return new Promise<never>(() => {})
    }
    const body = invalidateRequest.parse(await c.req.json())
    const userIds = 'user_ids' in body ? body.user_ids : [body.user_id]
    const call = ++calls
    for (const [userId, text] of await reportsInWarehouse(warehouse, userIds)) {
      // Of two calls at once, the later one's report is the newer.
      if (call > (made.get(userId)?.call ?? 0)) made.set(userId, { call, text })
    }
    return c.json({ invalidated: userIds.length } satisfies z.input<typeof invalidateResponse>)
  })
  const server = await listen(app, { port: 0, log })
  return {
    settings: {
      REPORTS_SERVICE_URL: server.url,
      OIDC_ISSUER: issuer,
      OIDC_INTERNAL_URL: internalUrl,
      CDC_CLIENT_ID: client.clientId,
      CDC_CLIENT_SECRET: client.clientSecret,
    },
    reports: () => new Map([...made].map(([userId, { text }]) => [userId, text])),
    calls: () => calls,
    loseCalls() {
      lost = Promise.withResolvers()
      return lost.promise
    },
    answerCalls() {
      lost = undefined
    },
    async stop() {
      await server.close()
      await provider.stop()
    },
  }
}
