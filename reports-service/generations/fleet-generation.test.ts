import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  objectName,
  startTestInstances,
  type TestInstances,
  today,
} from '../fixtures/test-instances.fixture.ts'

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

const fleet = `/reports/fleet/${today}`
const putRun = (seq: number, state: string, others: Record<string, string> = {}) =>
  shared.warehouse.insertRows('reports.etl_runs', [
    {
      run_seq: String(seq),
      run_id: randomUUID(),
      state,
      started_at: `${today}T1${seq}:00:00Z`,
      finished_at: `${today}T1${seq}:00:40Z`,
      _version: '3',
      ...others,
    },
  ])

test('the fleet is computed once for each ETL run that succeeded, whoever is invalidated meanwhile', async () => {
  const staff = await shared.identity.admin()
  const instance = await shared.instance()
  const before = await shared.link(instance, fleet, staff)
  expect(before).toMatchObject({ cache: 'miss' })
  expect(objectName(before)).toContain('/everybody/')
  await shared.invalidate(instance, { user_id: randomUUID() })
  await putRun(0, 'failed')
  expect(await shared.link(await shared.instance(), fleet, staff)).toMatchObject({
    cache: 'hit',
    url: before.url,
  })

  await putRun(1, 'succeeded')
  const after = await shared.link(instance, fleet, staff)
  expect(after).toMatchObject({ cache: 'miss', freshness: { etl_at: `${today}T11:00:00.000000Z` } })
  expect(objectName(after)).not.toBe(objectName(before))
  expect(await shared.link(instance, fleet, staff)).toMatchObject({ cache: 'hit', url: after.url })
})

test('one that cannot be read is left as it is, and the fleet made under another name', async () => {
  const staff = await shared.identity.admin()
  await putRun(2, 'succeeded')
  const link = await shared.link(await shared.instance(), fleet, staff)
  await shared.store.put(objectName(link), Buffer.from('torn'), { contentType: 'application/json' })
  const again = await shared.link(await shared.instance(), fleet, staff)
  expect(objectName(again)).not.toBe(objectName(link))
  expect(await shared.stored(again)).toMatchObject({ report: 'fleet', user_id: null })
})

test('a backfill makes the fleet anew too, and a run that was found dead does not, whatever it says of itself', async () => {
  const staff = await shared.identity.admin()
  const fresh = async () => shared.link(await shared.instance({ queryTimeoutMs: 60_000 }), fleet, staff)
  await putRun(3, 'succeeded')
  const before = await fresh()
  await putRun(4, 'succeeded', { kind: 'backfill' })
  const after = await fresh()
  expect(after.cache).toBe('miss')
  // It is of past days: the telemetry is as new as the run before it.
  expect(after.freshness).toEqual(before.freshness)

  await putRun(5, 'failed', { _version: '4' })
  await putRun(5, 'succeeded')
  expect(await fresh()).toEqual({ ...after, cache: 'hit' })
})

test('only staff with the role read it, and it is nobody in particular', async () => {
  const instance = await shared.instance()
  const user = await shared.addCustomer('Curious')
  const refusals = [
    [await instance.get(fleet, await shared.identity.patient(user)), 403, 'TENDON-REPORTS-006'],
    [await instance.get(fleet, await shared.identity.invalidator()), 403, 'TENDON-REPORTS-006'],
    [
      await instance.get(`${fleet}?user_id=${user}`, await shared.identity.admin()),
      400,
      'TENDON-REPORTS-009',
    ],
    [await instance.get(fleet), 401, 'TENDON-PLATFORM-005'],
  ] as const
  for (const [answer, status, code] of refusals) expect(await answer.json()).toMatchObject({ status, code })
})
