import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { expect, test } from 'vitest'
import { createOperationsApp } from './operations.ts'

const log = createLog({ service: 'test', level: 'fatal' })

test('ready when every service is, and the ones that are not are named', async () => {
  let problem: Error | undefined = new Error('the slot is busy')
  const ready = {
    bff: () => Promise.resolve(),
    cdc: () => (problem ? Promise.reject(problem) : Promise.resolve()),
  }
  const app = createOperationsApp({ metrics: [], ready, log })
  const waiting = await app.request('/readyz')
  expect(waiting.status).toBe(503)
  expect(await waiting.json()).toEqual({ status: 'not ready', waiting: ['cdc'] })
  problem = undefined
  expect((await app.request('/readyz')).status).toBe(200)
  expect((await app.request('/healthz')).status).toBe(200)
})

test('the registries of all services make one page', async () => {
  const [bff, etl] = [createMetrics('bff', { processMetrics: true }), createMetrics('etl')]
  bff.counter('sign_ins_total', 'Sign-ins').inc()
  etl.counter('runs_total', 'Runs').inc(2)
  const response = await createOperationsApp({ metrics: [bff, etl], ready: {}, log }).request('/metrics')
  expect(response.headers.get('content-type')).toContain('text/plain')
  const lines = (await response.text()).split('\n')
  expect(lines).toContain('tendon_bff_sign_ins_total 1')
  expect(lines).toContain('tendon_etl_runs_total 2')
  const families = lines.filter((line) => line.startsWith('# TYPE'))
  expect(new Set(families).size).toBe(families.length)
})
