import type { Warehouse } from '@tendon/warehouse/client.ts'
import { afterAll, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { differingUsers, modelDay } from '../fixtures/statistics-model.fixture.ts'
import type { EtlConfig } from '../options.ts'
import { listQuarantine } from './quarantine.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const [ada, bob, cyd] = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`) as [
  string,
  string,
  string,
]

/** A run that has loaded everything, and dies before it can say so. */
async function dieAfterLoading(story: Story, config: Partial<EtlConfig> = {}): Promise<void> {
  const warehouse = {
    ...world.warehouse,
    insertRows: (table: string, rows: readonly Record<string, unknown>[]) =>
      table === 'reports.etl_ownership'
        ? Promise.reject(new Error('dead'))
        : world.warehouse.insertRows(table, rows),
  }
  await expect(story.createEtl({ warehouse, config }).runOnce()).rejects.toThrow()
}

const backfillDays = (story: Story) =>
  story
    .createEtl()
    .backfill({ from: '2026-03-01', to: '2026-03-05' })
    .then(() => {})

async function tellStory() {
  const story = await world.freshStory()
  const prosthesis = await story.issue({ chip_id: 'c1', customer_id: ada, issued_at: '2026-03-01' })
  await story.issue({ chip_id: 'c2', customer_id: bob, issued_at: '2026-03-01' })
  for (const chip_id of ['c1', 'c2']) {
    await story.send(
      [2, 3, 4].map((day) => ({ chip_id, recorded_at: new Date(`2026-03-0${day}T12:00:00Z`) })),
    )
  }
  await story.createEtl().runOnce()
  return { story, prosthesis }
}

test.each([
  ['a run that died', dieAfterLoading],
  ['a backfill', backfillDays],
])(
  'an owner whom %s has measured by, and who was none before the next run, keeps nothing',
  async (_, measure) => {
    for (const owners of [
      [bob, ada],
      [bob, cyd],
      [cyd, bob, ada],
    ]) {
      const { story, prosthesis } = await tellStory()
      const last = owners.pop()!
      for (const customer_id of owners) {
        await story.change(prosthesis.id, { customer_id })
        await measure(story)
      }
      await story.change(prosthesis.id, { customer_id: last })
      const run = await story.createEtl().runOnce()
      expect(run).toMatchObject({ mode: 'increment' })
      expect(await story.stats()).toEqual(await story.expectedStats())
      await story.end()
    }
  },
)

test.each([
  ['a run that died', dieAfterLoading],
  ['a backfill', backfillDays],
])(
  'a prosthesis that the CRM did not have when %s looked, and has again, gets its numbers back',
  async (_, measure) => {
    const { story, prosthesis } = await tellStory()
    await story.remove(prosthesis.id)
    await measure(story)
    await story.issue(prosthesis)
    await story.createEtl().runOnce()
    expect(await story.stats()).toEqual(await story.expectedStats())
    await story.end()
  },
)

test('numbers that a run made by other options before it died are made again by those that count', async () => {
  const { story } = await tellStory()
  await story.change([...story.prostheses.keys()][1]!, { model_id: 2 })
  await dieAfterLoading(story, { timeZone: 'Pacific/Kiritimati' })
  expect(await story.stats()).not.toEqual(await story.expectedStats())
  const run = await story.createEtl().runOnce()
  expect(run).toMatchObject({ mode: 'full', full_reason: expect.stringContaining('options') })
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(await story.createEtl().runOnce()).toMatchObject({ mode: 'increment', rows_written: 0 })
  await story.end()
})

/** A run that dies as soon as it has noted what it measures by. */
async function dieBeforeLoading(story: Story): Promise<void> {
  const warehouse = {
    ...world.warehouse,
    async insertRows(table: string, rows: readonly Record<string, unknown>[]) {
      await world.warehouse.insertRows(table, rows)
      if (table === 'reports.etl_ownership_in_use') throw new Error('dead')
    },
  }
  await expect(story.createEtl({ warehouse }).runOnce()).rejects.toThrow()
}

test.each([
  ['a run that died', dieBeforeLoading],
  [
    'a backfill of one day',
    (story: Story) => story.createEtl().backfill({ from: '2026-03-04', to: '2026-03-04' }),
  ],
])('a prosthesis that %s has seen first is measured whole by the next run', async (_, measure) => {
  const { story } = await tellStory()
  // Its telemetry was there before, so that ownership alone tells of it.
  await story.send(
    [2, 3, 4].map((day) => ({ chip_id: 'c3', recorded_at: new Date(`2026-03-0${day}T12:00:00Z`) })),
  )
  await story.createEtl().runOnce()
  await story.issue({ chip_id: 'c3', customer_id: cyd, issued_at: '2026-03-01' })
  await measure(story)
  await story.createEtl().runOnce()
  expect(await story.stats()).toEqual(await story.expectedStats())
  await story.end()
})

/** A run that dies after loading, while ClickHouse has yet to do what it was told. @returns does it */
async function dieBeforeItIsWritten(story: Story): Promise<() => Promise<void>> {
  const late: (() => Promise<void>)[] = []
  const isLate = (table: string) => /user_prosthesis_stats|etl_unowned|etl_quarantine/.test(table)
  const { insertRows, insertLines } = world.warehouse
  const warehouse: Warehouse = {
    ...world.warehouse,
    async insertRows(table, rows) {
      if (rows.some(({ state }) => state === 'succeeded')) throw new Error('dead')
      if (isLate(table)) late.push(() => insertRows(table, rows))
      else await insertRows(table, rows)
    },
    async insertLines(table, data, format) {
      if (isLate(table)) late.push(() => insertLines(table, data, format))
      else await insertLines(table, data, format)
    },
  }
  await expect(story.createEtl({ warehouse }).runOnce()).rejects.toThrow()
  expect(late.length).toBeGreaterThanOrEqual(3)
  return async () => {
    for (const write of late) await write()
  }
}

test('what a run that died has yet to write does not win over what stands', async () => {
  const { story } = await tellStory()
  const at = (hour: string) => new Date(`2026-03-04T${hour}:00:00Z`)
  await story.send([
    { chip_id: 'stray', recorded_at: at('10') },
    { chip_id: 'c1', recorded_at: at('11'), battery_percent: 101 },
  ])
  await story.createEtl().runOnce()
  await story.send(['stray', 'c1'].map((chip_id) => ({ chip_id, recorded_at: at('13') })))
  await story.client.query(
    'UPDATE telemetry_events SET battery_percent = NULL, active_ms = -1 WHERE battery_percent = 101',
  )
  const writeLate = await dieBeforeItIsWritten(story)
  await story.client.query("DELETE FROM telemetry_events WHERE recorded_at = '2026-03-04 13:00Z'")
  await story.client.query(
    'UPDATE telemetry_events SET battery_percent = 101, active_ms = NULL WHERE active_ms = -1',
  )
  await story.createEtl().runOnce()
  await writeLate()
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(await story.unowned()).toEqual(await story.expectedUnowned())
  expect(await listQuarantine(world.warehouse, { limit: 9 })).toMatchObject([{ reason: 'absurd_battery' }])
  await story.end()
})

test('what such a run writes where nothing stands is taken back by the next', async () => {
  const { story, prosthesis } = await tellStory()
  await story.createEtl().runOnce()
  const gone = new Date('2026-03-08T12:00:00Z')
  await story.send([
    { chip_id: 'c2', recorded_at: gone },
    { chip_id: 'stray', recorded_at: gone },
    { chip_id: 'c2', recorded_at: gone, battery_percent: 101, signal: 'movement' },
    { chip_id: null, recorded_at: gone },
  ])
  await story.change(prosthesis.id, { customer_id: cyd })
  const writeLate = await dieBeforeItIsWritten(story)
  await story.client.query('DELETE FROM telemetry_events WHERE recorded_at = $1', [gone])
  await story.change(prosthesis.id, { customer_id: ada })
  await story.createEtl().runOnce()
  await writeLate()
  expect(await story.stats()).not.toEqual(await story.expectedStats())

  story.invalidated.length = 0
  expect(await story.createEtl().runOnce()).toMatchObject({ mode: 'increment' })
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(await story.unowned()).toEqual([])
  expect(await story.quarantine()).toEqual([])
  expect(new Set(story.invalidated)).toEqual(new Set([bob, cyd]))
  expect(await story.createEtl().runOnce()).toMatchObject({ pairs: 0, rows_written: 0, rows_deleted: 0 })
  await story.end()
})

test('what a part of a backfill has loaded before it died is right, and measured again once', async () => {
  const { story } = await tellStory()
  await story.client.query('ALTER TABLE telemetry_events DISABLE TRIGGER USER')
  await story.client.query("UPDATE telemetry_events SET active_ms = 60000, ingest_xid = '3'")
  const warehouse: Warehouse = {
    ...world.warehouse,
    async insertLines(...lines) {
      await world.warehouse.insertLines(...lines)
      throw new Error('dead')
    },
  }
  await expect(
    story.createEtl({ warehouse }).backfill({ from: '2026-03-02', to: '2026-03-02' }),
  ).rejects.toThrow()
  const pairs = async () => {
    const run = await story.createEtl().runOnce()
    return run.state === 'succeeded' && run.pairs
  }
  // The first sees nothing new, and is the one since which no backfill has failed. The second measures the days beside, too.
  expect([await pairs(), await pairs(), await pairs()]).toEqual([0, 4, 0])
  await story.end()
})

test.each([
  ['the statistics', 'user_prosthesis_stats'],
  ['their copy by day', 'stats_by_day'],
  ['their copy by model', 'model_days'],
  ['ownership', 'etl_ownership'],
  ['the book of runs', 'etl_runs'],
])('of %s ClickHouse has the state of a backup, or none: the next run makes good', async (_, name) => {
  const { story, prosthesis } = await tellStory()
  const [table, saved] = [`reports.${name}`, 'reports.saved']
  await world.warehouse.command(`CREATE TABLE ${saved} AS ${table}`)
  await world.warehouse.command(`INSERT INTO ${saved} SELECT * FROM ${table}`)
  await story.send([{ chip_id: 'c1', recorded_at: new Date('2026-03-04T13:00:00Z') }])
  await story.change(prosthesis.id, { customer_id: cyd })
  await story.createEtl().runOnce()
  for (const [takeBack, customer_id] of [
    [`INSERT INTO ${table} SELECT * FROM ${saved}`, ada],
    [`DROP TABLE ${saved}`, bob],
  ] as const) {
    await world.warehouse.command(`TRUNCATE TABLE ${table}`)
    await world.warehouse.command(takeBack)
    await story.change(prosthesis.id, { customer_id })
    await story.client.query(
      "DELETE FROM telemetry_events WHERE id = (SELECT min(id) FROM telemetry_events WHERE chip_id = 'c2')",
    )
    const before = await story.stats()
    story.invalidated.length = 0
    await story.createEtl().runOnce()
    const after = await story.stats()
    expect(after).toEqual(await story.expectedStats())
    expect(await story.modelDays()).toEqual([...after.values()].map(modelDay).sort())
    expect(new Set(story.invalidated)).toEqual(new Set(differingUsers(before, after)))
  }
  expect(await story.createEtl().runOnce()).toMatchObject({ mode: 'increment', rows_written: 0 })
  await story.end()
})
