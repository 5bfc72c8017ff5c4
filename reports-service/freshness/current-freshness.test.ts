import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { daily, startTestInstances, type TestInstances, today } from '../fixtures/test-instances.fixture.ts'

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

const lsn = 1_000n
/** The change feed has stored the change of a commit, and invalidated the users of all below `deliveredBelow`. */
function putPosition(commit: bigint, deliveredBelow: bigint) {
  return shared.warehouse.insertRows('cdc.positions', [
    {
      feed: 'tendon',
      position: String(deliveredBelow),
      lsn: String(deliveredBelow),
      version: String((commit << 64n) + 2n),
      committed_at: `2026-03-14T11:00:${commit - lsn}.000000Z`,
    },
  ])
}
async function putRun(seq: number): Promise<string> {
  const run_id = randomUUID()
  const times = { started_at: `2026-03-14T1${seq}:00:00Z`, finished_at: `2026-03-14T1${seq}:00:40Z` }
  const run = { run_seq: String(seq), run_id, state: 'succeeded', ...times, _version: '2' }
  await shared.warehouse.insertRows('reports.etl_runs', [run])
  return run_id
}
const toldUser = randomUUID()
function putInvalidation(run_seq: number, delivered: 0 | 1) {
  const row = { run_seq: String(run_seq), user_id: toldUser, delivered, _version: String(delivered + 1) }
  return shared.warehouse.insertRows('reports.etl_invalidations', [row])
}

test('a hit is as current as what everybody has been told of, and no more; the object keeps its own', async () => {
  const token = await shared.identity.patient(await shared.addCustomer('Idle'))
  /** By an instance that has read nothing yet. */
  const hit = async () => {
    const instance = await shared.instance({ queryTimeoutMs: 60_000 })
    const link = await shared.link(instance, daily, token)
    expect(link.cache).toBe('hit')
    return link
  }
  await putPosition(lsn + 10n, lsn + 11n)
  const firstRun = await putRun(1)
  const computed = await shared.link(await shared.instance(), daily, token)
  expect(computed.freshness).toMatchObject({ etl_run: firstRun, cdc_at: '2026-03-14T11:00:10.000000Z' })

  await putPosition(lsn + 20n, lsn + 21n)
  await putInvalidation(2, 1)
  const secondRun = await putRun(2)
  const told = {
    cdc_position: String(((lsn + 20n) << 64n) + 2n),
    cdc_at: '2026-03-14T11:00:20.000000Z',
    etl_run: secondRun,
    etl_at: '2026-03-14T12:00:00.000000Z',
  }
  expect(await hit()).toEqual({ ...computed, cache: 'hit', freshness: told })
  expect(await shared.object(computed)).toMatchObject({ freshness: computed.freshness })

  const early = await shared.instance({ queryTimeoutMs: 60_000 })
  expect((await shared.link(early, daily, token)).freshness).toEqual(told)

  // Both parts have more to read, of which not everybody was told; the run after it found nothing to tell.
  await putPosition(lsn + 30n, lsn + 30n)
  await putInvalidation(3, 0)
  await putRun(3)
  await putRun(4)
  expect((await hit()).freshness).toMatchObject({ etl_run: secondRun, cdc_at: computed.freshness.cdc_at })
  // Who was told more before says no less, having read again.
  const readings = () => shared.proxy.count('freshness/change-feed')
  const before = readings()
  await expect
    .poll(async () => {
      expect((await shared.link(early, daily, token)).freshness).toEqual(told)
      return readings()
    })
    .toBe(before + 1)
})

test('one reading serves many hits, and none waits for a ClickHouse that does not answer', async () => {
  const token = await shared.identity.patient(await shared.addCustomer('Busy'))
  const computed = await shared.link(await shared.instance(), daily, token)
  const instance = await shared.instance({ queryTimeoutMs: 500 })
  const answer = Promise.withResolvers<void>()
  const before = shared.proxy.count('freshness/change-feed')
  shared.proxy.intercept(() => answer.promise)
  const hits = await Promise.all(Array.from({ length: 20 }, () => shared.link(instance, daily, token)))
  expect(new Set(hits.map(({ url }) => url))).toEqual(new Set([computed.url]))
  expect(hits[0]!.freshness).toEqual(computed.freshness)
  answer.resolve()
  expect(shared.proxy.count('freshness/change-feed') - before).toBe(1)
})

test('a hit on what its generation does not cover is as old as its computation', async () => {
  const user = await shared.addCustomer('Middling')
  const read = [
    ['prosthesis-daily', await shared.identity.patient(user), { cdc: 'now', etl: 'now' }],
    ['service-history', await shared.identity.patient(user), { cdc: 'now', etl: 'now' }],
    ['prosthesis-trend', await shared.identity.patient(user), { cdc: 'then', etl: 'then' }],
  ] as const
  await putInvalidation(3, 1)
  await putPosition(lsn + 40n, lsn + 41n)
  const thenRun = await putRun(5)
  const path = (report: string) => `/reports/${report}/${today}`
  const first = await shared.instance()
  for (const [report, token] of read) await shared.link(first, path(report), token)
  await putPosition(lsn + 50n, lsn + 51n)
  const nowRun = await putRun(6)
  const second = await shared.instance({ queryTimeoutMs: 60_000 })
  for (const [report, token, { cdc, etl }] of read) {
    const { cache, freshness } = await shared.link(second, path(report), token)
    const found = [cache, freshness.cdc_at?.slice(17, 19), freshness.etl_run]
    expect([report, ...found]).toEqual([
      report,
      'hit',
      cdc === 'now' ? '50' : '40',
      etl === 'now' ? nowRun : thenRun,
    ])
  }

  // A run makes the fleet anew, a change of the CRM does not.
  const staff = await shared.identity.admin()
  await shared.link(second, path('fleet'), staff)
  await putPosition(lsn + 55n, lsn + 56n)
  const { cache, freshness } = await shared.link(
    await shared.instance({ queryTimeoutMs: 60_000 }),
    path('fleet'),
    staff,
  )
  expect([cache, freshness.cdc_at?.slice(17, 19), freshness.etl_run]).toEqual(['hit', '50', nowRun])
})
