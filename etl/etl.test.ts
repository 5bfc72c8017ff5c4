import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createLog } from '@tendon/platform/log.ts'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { type Story, startEtlWorld } from './fixtures/etl-world.fixture.ts'
import { createInvalidate } from './invalidate/invalidate.ts'
import { listRuns } from './run/run-records.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const alice = '00000000-0000-4000-8000-00000000000a'
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
  await story.send([{ chip_id: 'c1', recorded_at: new Date('2026-01-02T10:00:00Z') }])
})
afterEach(() => story.end())

test('start awaits the first run when told to, and its numbers can be scraped', async () => {
  const etl = story.createEtl({ config: { firstRun: 'await' } })
  await etl.start()
  expect(story.invalidated).toEqual([alice])
  const scraped = await (await etl.app.request('/metrics')).text()
  expect(scraped).toContain('tendon_etl_runs_total{state="succeeded"} 1')
  expect((await etl.app.request('/readyz')).status).toBe(200)
  await etl.stop()
})

test('a job that is started anew knows when a run last succeeded, also while none does', async () => {
  const successOf = async (etl: ReturnType<typeof story.createEtl>) =>
    /^tendon_etl_last_success_timestamp_seconds .*$/m.exec(
      await (await etl.app.request('/metrics')).text(),
    )?.[0]
  const former = story.createEtl({ config: { firstRun: 'await' } })
  await former.start()
  await former.stop()
  await story.client.query('ALTER TABLE telemetry_events RENAME TO away')
  const etl = story.createEtl({ config: { firstRun: 'await' } })
  await etl.start()
  expect(await successOf(etl)).not.toMatch(/ 0$/)
  expect(await successOf(etl)).toBe(await successOf(former))
  await etl.stop()
})

test('a first run that fails does not keep the job from starting', async () => {
  await story.client.query('ALTER TABLE telemetry_events RENAME TO away')
  const etl = story.createEtl({ config: { firstRun: 'await' } })
  await etl.start()
  await story.client.query('ALTER TABLE away RENAME TO telemetry_events')
  expect(await etl.runOnce()).toMatchObject({ state: 'succeeded', rows_written: 1 })
  await etl.stop()
})

test('whatever becomes of a run, each of its log lines has its run_id, and one that fails says so once', async () => {
  const lines: string[] = []
  const log = createLog({ service: 'etl' }, { write: (line) => void lines.push(line) })
  const etl = story.createEtl({ config: { firstRun: 'await' }, log })
  const written = () => lines.splice(0).map((line) => JSON.parse(line))
  await etl.start()
  // What reads logs may refuse a line that has a key twice.
  expect(lines.at(-1)!.match(/"run_id":/g)).toHaveLength(1)
  expect(written().at(-1)).toMatchObject({ run_id: expect.any(String), msg: 'run succeeded' })
  await etl.stop()

  const failing = async (why: Parameters<typeof story.createEtl>[0]) => {
    const one = story.createEtl({ config: { firstRun: 'await' }, log, ...why })
    await one.start()
    await one.stop()
    return written()
  }
  await story.client.query('ALTER TABLE telemetry_events RENAME TO away')
  expect(await failing({})).toMatchObject([
    { level: 'error', run_id: expect.any(String), err: { error_code: 'TENDON-ETL-001' }, msg: 'run failed' },
  ])
  const [last] = await listRuns(world.warehouse, 1)
  const again = await failing({})
  expect(again).toMatchObject([{ msg: 'run failed' }])
  expect(again[0].run_id).toBe((await listRuns(world.warehouse, 1))[0]!.run_id)
  expect(again[0].run_id).not.toBe(last!.run_id)
  // One that could not begin.
  expect(await failing({ telemetry: 'postgresql://127.0.0.1:1/nothing' })).toMatchObject([
    { level: 'error', run_id: expect.any(String), err: { error_code: 'TENDON-ETL-002' }, msg: 'run failed' },
  ])
})

test('users are invalidated over HTTP with the service token', async () => {
  const calls: unknown[] = []
  const server = createServer(async (request, reply) => {
    const body = Buffer.concat(await request.toArray()).toString()
    calls.push([request.method, request.url, request.headers.authorization, JSON.parse(body)])
    reply.end('{"invalidated":1}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const etl = story.createEtl({ invalidate: createInvalidate(url, async () => 'service-token') })
  await etl.runOnce()
  expect(calls).toEqual([['POST', '/invalidate', 'Bearer service-token', { user_ids: [alice] }]])
  server.closeAllConnections()
  server.close()
})
