import type { Warehouse } from '@tendon/warehouse/client.ts'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { dayAfter } from '../fixtures/statistics-model.fixture.ts'
import { batchSizes } from './batch-sizes.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const users = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`)
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
  for (const [i, customer_id] of users.entries())
    await story.issue({ chip_id: `c${i}`, customer_id, issued_at: '2026-01-01' })
  await story.send(
    Array.from({ length: 60 }, (_, n) => ({
      chip_id: `c${n % 3}`,
      recorded_at: new Date(`${dayAfter('2026-01-02', Math.floor(n / 3))}T10:00:00Z`),
    })),
  )
})
afterEach(() => story.end())

/** The warehouse, and how many times it was sent rows of the statistics. */
function countingInserts(): Warehouse & { inserts: number } {
  const counting = {
    ...world.warehouse,
    inserts: 0,
    async insertLines(...call: Parameters<Warehouse['insertLines']>) {
      counting.inserts += 1
      await world.warehouse.insertLines(...call)
    },
  }
  return counting
}

test.each([
  // The first slice is the first day, and one before it that has no rows; each of the 19 that follow is a day.
  ['slices and batches of a run that measures everything', { rowsOfSlice: 1, rowsOfBatch: 1 }, 20],
  ['inserts', { rowsOfInsert: 7 }, 9],
])('the size of %s is kept', async (_, sizes, pieces) => {
  const warehouse = countingInserts()
  const etl = story.createEtl({ warehouse, sizes: { ...batchSizes, ...sizes }, config: { parallel: 1 } })
  expect(await etl.runOnce()).toMatchObject({ mode: 'full', rows_written: 60 })
  expect(warehouse.inserts).toBe(pieces)
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('the size of parts of a run that measures what is new is kept', async () => {
  await story.createEtl().runOnce()
  await story.client.query("UPDATE telemetry_events SET error_code = 'E1'")
  const warehouse = countingInserts()
  const etl = story.createEtl({ warehouse, sizes: { ...batchSizes, windowsOfPart: 21 } })
  expect(await etl.runOnce()).toMatchObject({ mode: 'increment', rows_written: 60 })
  expect(warehouse.inserts).toBe(3)
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('when more is new than is held everything is measured, and only what differs is written', async () => {
  const runWith = (mostWindows: number) =>
    story.createEtl({ sizes: { ...batchSizes, mostWindows } }).runOnce()
  await runWith(60)
  await story.send([
    { chip_id: null, recorded_at: new Date('2026-01-02T10:00Z') },
    { chip_id: 'stray', recorded_at: new Date('2026-01-02T10:00Z') },
  ])
  await story.client.query("UPDATE telemetry_events SET error_code = 'E1' WHERE chip_id = 'c0'")
  // Two windows of the strays, and each day of c0 twice: what is there now, and what was.
  story.invalidated.length = 0
  expect(await runWith(60)).toMatchObject({ mode: 'increment', rows_written: 20 })
  expect(story.invalidated).toEqual([users[0]])

  const [his] = [...story.prostheses.values()].filter(({ chip_id }) => chip_id === 'c1')
  await story.change(his!.id, { customer_id: users[2]! })
  await story.client.query("DELETE FROM telemetry_events WHERE chip_id = 'c0' AND recorded_at < '2026-01-05'")
  await story.client.query('DELETE FROM telemetry_events WHERE chip_id IS NULL')
  story.invalidated.length = 0
  expect(await runWith(10)).toMatchObject({
    mode: 'full',
    full_reason: 'there is something new on more than 10 days of chips',
    watermark_from: '0',
    rows_written: 20,
    rows_deleted: 23,
    rows_unchanged: 37,
  })
  expect(story.invalidated.toSorted()).toEqual(users)
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(await story.quarantine()).toEqual([])
  expect(await story.unowned()).toEqual(await story.expectedUnowned())
  expect(await runWith(10)).toMatchObject({ mode: 'increment', pairs: 0 })
})
