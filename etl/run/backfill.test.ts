import { explainError } from '@tendon/platform/process-config.ts'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { createWarehouseCrm } from '../crm/crm-warehouse.ts'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import type { BackfillProgress } from './backfill-progress.ts'
import { listRuns } from './run-records.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const alice = '00000000-0000-4000-8000-00000000000a'
const bob = '00000000-0000-4000-8000-00000000000b'
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
  await story.live(bob, 'Asia/Tokyo')
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
  await story.issue({ chip_id: 'c2', customer_id: bob, issued_at: '2026-01-01' })
  await story.send(
    Array.from({ length: 60 }, (_, n) => ({
      chip_id: n % 2 ? 'c1' : 'c2',
      recorded_at: new Date(Date.parse('2026-01-01T01:00Z') + n * 43_200_000),
      response_time_ms: n,
    })),
  )
  await story.createEtl().runOnce()
  story.invalidated.length = 0
  // What nobody notes.
  await story.client.query('ALTER TABLE telemetry_events DISABLE TRIGGER USER')
  await story.client.query('DELETE FROM telemetry_events WHERE id % 5 = 0')
  await story.client.query('UPDATE telemetry_events SET response_time_ms = 1 WHERE id % 7 = 0')
})
afterEach(() => story.end())

const january = { from: '2026-01-01', to: '2026-01-31' }

test('a backfill finds what nothing noted, moves no watermark and tells exactly whose numbers changed', async () => {
  expect(await story.createEtl().runOnce()).toMatchObject({ rows_written: 0, rows_deleted: 0 })
  const progress: BackfillProgress[] = []
  const done = await story.createEtl().backfill(january, (step) => progress.push(step))
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(new Set(story.invalidated)).toEqual(new Set([alice, bob]))
  expect(done).toMatchObject({ days: 31, days_resumed: 0, rows_in: 48 })
  expect(progress.map(({ daysDone }) => daysDone)).toEqual([0, 7, 14, 21, 28, 31])
  const watermarks = (await listRuns(world.warehouse, 99)).filter(({ kind }) => kind === 'run')
  expect(watermarks).toHaveLength(2)
  expect(await story.createEtl().backfill(january)).toMatchObject({
    days_resumed: 0,
    rows_written: 0,
    rows_deleted: 0,
  })
})

test('one that was stopped goes on where it was, and a run of the schedule gets in between', async () => {
  const etl = story.createEtl()
  let between: Promise<unknown> | undefined
  const stopped = etl.backfill(january, ({ daysDone }) => {
    if (daysDone === 7) between = story.createEtl().runOnce()
    if (daysDone === 14) void etl.stop()
  })
  await expect(stopped).rejects.toThrow()
  expect(await between).toMatchObject({ state: 'succeeded' })
  const done = await story.createEtl().backfill(january)
  expect(done.days_resumed).toBeGreaterThanOrEqual(14)
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('one that is told to stop while it measures says that it was, and not that it failed', async () => {
  const readCrm = createWarehouseCrm(world.warehouse)
  const etl = story.createEtl({
    readCrm: async () => {
      void etl.stop()
      return readCrm()
    },
  })
  const stopped = await etl.backfill(january).catch((error: unknown) => error)
  expect(stopped).toMatchObject({ code: 'TENDON-ETL-005' })
  expect(explainError(stopped).match(/TENDON-/g)).toHaveLength(1)
  expect(await listRuns(world.warehouse, 1)).toMatchObject([
    { state: 'failed', error: expect.stringContaining('TENDON-ETL-005') },
  ])
})

test('one that is told to stop while it waits for a run to end does not wait for it', async () => {
  const { client } = story
  await client.query("SELECT pg_advisory_lock(hashtextextended('tendon.etl.run', 0))")
  const etl = story.createEtl()
  const stopped = etl.backfill(january).catch((error: unknown) => error)
  const waiting = "SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
  await expect.poll(async () => (await client.query(waiting)).rows).toEqual([{ count: 1 }])
  await etl.stop()
  expect(await stopped).toMatchObject({ code: 'TENDON-ETL-005' })
  await client.query("SELECT pg_advisory_unlock(hashtextextended('tendon.etl.run', 0))")
})

test('of some chips it changes nothing else', async () => {
  const before = await story.stats()
  await story.createEtl().backfill({ ...january, chipIds: ['c2'] })
  const [after, expected] = [await story.stats(), await story.expectedStats()]
  const ofBob = (rows: typeof before) => [...rows.values()].filter(({ user_id }) => user_id === bob)
  const ofAlice = (rows: typeof before) => [...rows.values()].filter(({ user_id }) => user_id === alice)
  expect(ofBob(after)).toEqual(ofBob(expected))
  expect(ofAlice(after)).toEqual(ofAlice(before))
  expect(new Set(story.invalidated)).toEqual(new Set([bob]))
})

test('of some chips the days are those where their owners live, of which a piece may be in UTC’s day before', async () => {
  await story.send([{ chip_id: 'c2', recorded_at: new Date('2026-02-09T16:00Z'), battery_percent: 50 }])
  await story.createEtl().runOnce()
  await story.client.query('UPDATE telemetry_events SET battery_percent = 60 WHERE battery_percent = 50')
  const tenth = { from: '2026-02-10', to: '2026-02-10', chipIds: ['c2'] }
  expect(await story.createEtl().backfill(tenth)).toMatchObject({ rows_in: 1, rows_written: 1 })
})

test('a CRM that has lost its prostheses takes no numbers back, and days in the wrong order, or that are not measured, are refused', async () => {
  for (let n = 3; n < 15; n += 1)
    await story.issue({ chip_id: `c${n}`, customer_id: alice, issued_at: '2026-01-01' })
  await story.createEtl().runOnce()
  const before = await story.stats()
  const readCrm = async () => ({ version: '0', prostheses: [], modelIds: new Set<number>() })
  await expect(story.createEtl({ readCrm }).backfill(january)).rejects.toThrow('prostheses_gone')
  expect(await story.stats()).toEqual(before)
  await expect(story.createEtl().backfill({ from: january.to, to: january.from })).rejects.toThrow('before')
  const runs = await listRuns(world.warehouse, 99)
  const late = story.createEtl({ config: { firstDay: '2026-01-10' } })
  await expect(late.backfill(january)).rejects.toMatchObject({ code: 'TENDON-ETL-011' })
  expect(await listRuns(world.warehouse, 99)).toEqual(runs)
})

test('days that are still to come are none to measure: of a range that reaches into them it does those that have begun', async () => {
  // It is the 21st in Kiritimati already.
  const now = () => new Date('2026-01-20T10:00Z')
  const before = await story.stats()
  const future = { from: '2026-01-22', to: '2026-01-25' }
  await expect(story.createEtl({ now }).backfill(future)).rejects.toMatchObject({
    code: 'TENDON-ETL-011',
    message: expect.stringContaining('2026-01-21'),
  })
  const done = await story.createEtl({ now }).backfill(january)
  expect(done).toMatchObject({ days: 21, days_to_come: 10 })
  // What it says of itself is what it has measured.
  expect((await listRuns(world.warehouse, 1))[0]).toMatchObject({ to_day: '2026-01-21' })
  const ofDays = (rows: typeof before, isIn: (day: string) => boolean) =>
    [...rows.values()].filter(({ day }) => isIn(day))
  const hasBegun = (day: string) => day <= '2026-01-21'
  const [after, expected] = [await story.stats(), await story.expectedStats()]
  expect(ofDays(after, hasBegun)).toEqual(ofDays(expected, hasBegun))
  expect(ofDays(after, (day) => !hasBegun(day))).toEqual(ofDays(before, (day) => !hasBegun(day)))
  // It has come to its end. The day after, the same call has all to do again, and one day more.
  const tomorrow = () => new Date('2026-01-21T10:00Z')
  expect(await story.createEtl({ now: tomorrow }).backfill(january)).toMatchObject({
    days_resumed: 0,
    days: 22,
    days_to_come: 9,
  })
})
