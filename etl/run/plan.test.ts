import { readConfig } from '@tendon/platform/config.ts'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { mortal } from '../fixtures/mortal-warehouse.fixture.ts'
import { measuringOptions } from '../options.ts'
import { planRun } from './plan.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const alice = '00000000-0000-4000-8000-00000000000a'
const bob = '00000000-0000-4000-8000-00000000000b'
const at = (text: string) => new Date(text)
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
  await story.live(bob, 'Asia/Tokyo')
  for (let n = 0; n < 12; n++) {
    const customer_id = n % 2 ? alice : bob
    await story.issue({ chip_id: `c${n}`, customer_id, issued_at: '2026-01-01' })
    await story.send([{ chip_id: `c${n}`, recorded_at: at('2026-01-02T10:00Z'), battery_percent: 50 + n }])
  }
  await story.createEtl().runOnce()
})
afterEach(() => story.end())

const plan = () =>
  planRun({ ...story.readingParts(), config: readConfig('etl', measuringOptions, { env: {} }) })

/** What was planned, and what became of it. */
async function planAndRun(run: () => Promise<unknown>) {
  const before = await story.stats()
  const { sample, users, users_kept, ...planned } = await plan()
  expect(await story.stats()).toEqual(before)
  expect(await run()).toMatchObject({
    ...planned,
    users_changed: users,
    users_invalidated: users + users_kept,
  })
  expect(await story.stats()).toEqual(await story.expectedStats())
  return { ...planned, users, users_kept, sample }
}

const run = () => story.createEtl().runOnce()

test('a run does what was planned: what is new, changed, gone, or somebody else’s by now', async () => {
  const [first, second] = [...story.prostheses.keys()]
  await story.send([
    { chip_id: 'c3', recorded_at: at('2026-01-02T11:00Z') },
    { chip_id: 'c3', recorded_at: at('2026-01-02T11:00Z') },
    { chip_id: 'c4', recorded_at: at('2026-01-05T11:00Z'), battery_percent: 101 },
    { chip_id: 'stray', recorded_at: at('2026-01-05T11:00Z') },
    { chip_id: '', recorded_at: at('2026-01-05T11:00Z') },
  ])
  await story.client.query("DELETE FROM telemetry_events WHERE chip_id = 'c5'")
  await story.change(first!, { customer_id: alice })
  await story.remove(second!)
  expect(await planAndRun(run)).toMatchObject({
    mode: 'increment',
    rows_written: 2,
    rows_deleted: 3,
    rows_quarantined: 3,
    users: 2,
  })
  expect(await plan()).toMatchObject({ pairs: 0, rows_written: 0, rows_deleted: 0, users: 0, users_kept: 0 })
})

test('and what a run that died has left, and users of whom reports-service was not told', async () => {
  await story.send([{ chip_id: 'c3', recorded_at: at('2026-01-03T11:00Z') }])
  await story.createEtl({ invalidate: () => Promise.reject(new Error('away')) }).runOnce()
  expect(await plan()).toMatchObject({ rows_written: 0, users: 0, users_kept: 1 })
  await story.send([{ chip_id: 'c4', recorded_at: at('2026-01-03T11:00Z') }])
  await story
    .createEtl({
      invalidate: () => Promise.reject(new Error('away')),
      warehouse: mortal(world.warehouse, { afterCalls: 20, isLastDone: true }),
    })
    .runOnce()
    .catch(() => {})
  await planAndRun(run)
  expect(new Set(story.invalidated)).toEqual(new Set([alice, bob]))
})

test('and what follows from statistics that ClickHouse has lost in one of their tables', async () => {
  await world.warehouse.command('TRUNCATE TABLE reports.stats_by_day')
  await planAndRun(run)
})

test('a check that would block the run is said to', async () => {
  for (const id of [...story.prostheses.keys()]) await story.remove(id)
  expect((await plan()).problems.map(({ kind, subject }) => `${kind} ${subject}`)).toContain(
    'failed_check prostheses_gone',
  )
})
