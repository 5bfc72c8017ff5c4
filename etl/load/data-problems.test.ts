import type { Warehouse } from '@tendon/warehouse/client.ts'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import type { EtlRun } from '../run/run-records.ts'
import { countQuarantine, listQuarantine } from './quarantine.ts'
import { listUnowned } from './unowned.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const alice = '00000000-0000-4000-8000-00000000000a'
const bob = '00000000-0000-4000-8000-00000000000b'
const at = (text: string) => new Date(text)
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
})
afterEach(() => story.end())

async function run(options: { acceptChecks?: boolean } = {}): Promise<EtlRun> {
  const ended = await story.createEtl().runOnce(options)
  if (ended.state === 'skipped') throw new Error('skipped')
  return ended
}

test('a day is the patient’s day, also when the clock is put forward and when they move', async () => {
  await story.live(alice, 'Europe/Vienna')
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
  await story.send([
    { chip_id: 'c1', recorded_at: at('2026-03-28T22:59:59.999Z') },
    { chip_id: 'c1', recorded_at: at('2026-03-28T23:00:00Z') },
    { chip_id: 'c1', recorded_at: at('2026-03-29T21:59:59.999Z') },
    { chip_id: 'c1', recorded_at: at('2026-03-29T22:00:00Z') },
  ])
  await run()
  const days = async () => [...(await story.stats()).values()].map(({ day, events }) => [day, events])
  expect(await days()).toEqual([
    ['2026-03-28', 1],
    ['2026-03-29', 2],
    ['2026-03-30', 1],
  ])
  await story.live(alice, 'Asia/Tokyo')
  expect(await run()).toMatchObject({ mode: 'increment', users_changed: 1 })
  expect(await days()).toEqual([
    ['2026-03-29', 2],
    ['2026-03-30', 2],
  ])
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('who has it on a day is decided where they live, also when it goes around the world', async () => {
  await story.live(alice, 'Pacific/Kiritimati')
  await story.live(bob, 'America/Los_Angeles')
  await story.issue({ chip_id: 'c1', customer_id: bob, issued_at: '2026-01-01', returned_at: '2026-01-10' })
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-10' })
  await story.send(
    Array.from({ length: 96 }, (_, hour) => ({
      chip_id: 'c1',
      recorded_at: new Date(Date.parse('2026-01-08T00:30Z') + hour * 3_600_000),
    })),
  )
  await run()
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('bad input is put into quarantine, by reason, and comes out when it is mended', async () => {
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2020-01-01' })
  const good = { chip_id: 'c1', recorded_at: at('2026-01-02T10:00:00Z') }
  const second = (n: number) => ({ ...good, recorded_at: new Date(good.recorded_at.getTime() + n * 1000) })
  await story.send([
    good,
    { ...good, error_code: 'E1' },
    { ...second(1), ingested_at: at('2026-01-02T08:00:00Z') },
    { ...second(2), active_ms: -1 },
    { ...second(3), response_time_ms: 60_001 },
    { ...second(4), active_ms: 86_400_001 },
    { ...second(5), battery_percent: 101 },
    { ...second(6), movement_count: -1 },
    { ...good, recorded_at: at('1999-06-01T00:00:00Z') },
    { ...good, chip_id: '' },
  ])
  await story.client.query(
    "INSERT INTO telemetry_events (signal, chip_id, recorded_at) VALUES ('status', NULL, '2026-01-02Z'), ('status', 'c1', 'infinity'), ('status', 'c1', '2999-01-01Z')",
  )
  expect(await run()).toMatchObject({ rows_written: 1, rows_quarantined: 12 })
  expect(await countQuarantine(world.warehouse)).toEqual([
    { reason: 'absurd_active_time', rows: 1 },
    { reason: 'absurd_battery', rows: 1 },
    { reason: 'absurd_movements', rows: 1 },
    { reason: 'absurd_response_time', rows: 1 },
    { reason: 'before_first_day', rows: 1 },
    { reason: 'clock_ahead', rows: 3 },
    { reason: 'duplicate', rows: 1 },
    { reason: 'negative_duration', rows: 1 },
    { reason: 'no_chip', rows: 2 },
  ])
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(await listQuarantine(world.warehouse, { reason: 'absurd_battery', limit: 9 })).toMatchObject([
    { chipId: 'c1', recordedAt: '2026-01-02T10:00:05.000000Z', detail: 'battery_percent 101' },
  ])

  await story.client.query('UPDATE telemetry_events SET battery_percent = 50 WHERE battery_percent = 101')
  await story.client.query(
    "UPDATE telemetry_events SET recorded_at = '2026-01-03Z' WHERE recorded_at = 'infinity'",
  )
  await run()
  const reasons = (await countQuarantine(world.warehouse)).map(({ reason }) => reason)
  expect(reasons).not.toContain('absurd_battery')
  expect(await story.quarantine()).toEqual(await story.expectedQuarantine())
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('a row at the limit of a rule counts', async () => {
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2020-01-01' })
  const minute = (n: number) => new Date(at('2026-01-02T12:00:00Z').getTime() + n * 60_000)
  const limits = [
    { response_time_ms: 0 },
    { response_time_ms: 60_000 },
    { active_ms: 0 },
    { active_ms: 86_400_000 },
    { battery_percent: 0 },
    { battery_percent: 100 },
    { movement_count: 0 },
    { movement_count: 100_000 },
  ]
  await story.send([
    ...limits.map((row, n) => ({ chip_id: 'c1', recorded_at: minute(n), ...row })),
    { chip_id: 'c1', recorded_at: minute(100), ingested_at: minute(40) },
    { chip_id: 'c1', recorded_at: minute(101), ingested_at: new Date(minute(41).getTime() - 1) },
  ])
  expect(await run()).toMatchObject({ rows_in: 10, rows_quarantined: 1 })
  // What is new makes the day be read again, its rows whole.
  await story.send([{ chip_id: 'c1', recorded_at: minute(200) }])
  expect(await run()).toMatchObject({ mode: 'increment', rows_in: 11, rows_quarantined: 1 })
  expect(await countQuarantine(world.warehouse)).toEqual([{ reason: 'clock_ahead', rows: 1 }])
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test.each([
  ['few', 401],
  ['many', 7],
])('%s rows in doubt among sound ones, day after day and in zones far apart', async (_, every) => {
  await story.live(alice, 'Pacific/Kiritimati')
  await story.live(bob, 'America/Los_Angeles')
  const owners = { c1: alice, c2: bob, c3: alice }
  for (const [chip_id, customer_id] of Object.entries(owners)) {
    await story.issue({ chip_id, customer_id, issued_at: '2026-01-02' })
  }
  const sound = { response_time_ms: 80.5, battery_percent: 50, movement_count: 3, active_ms: 900 }
  // What is sound and does not fit, and what is wrong; besides, the time of another row.
  const doubtful = [{ movement_count: 90_000, active_ms: 80_000_000 }, { battery_percent: 101 }]
  await story.send(
    Array.from({ length: 6_000 }, (_, n) => ({
      chip_id: Object.keys(owners)[n % 3]!,
      // 37 minutes apart for each chip.
      recorded_at: new Date(Date.parse('2026-01-01T00:00Z') + Math.floor(n / 3) * 2_220_000),
      ...sound,
      error_code: n % 50 ? null : 'E1',
      ...(n % every === 0 && doubtful[n % 2]),
    })),
  )
  await story.send(
    Array.from({ length: Math.floor(6_000 / every) }, (_, i) => ({
      chip_id: Object.keys(owners)[(i * every) % 3]!,
      recorded_at: new Date(Date.parse('2026-01-01T00:00Z') + Math.floor((i * every) / 3) * 2_220_000),
      ...sound,
      signal: i % 2 ? 'status' : 'movement',
    })),
  )
  const { mode, rows_written } = await run()
  const stats = await story.stats()
  // None is written twice, by two streams that both have a piece of its day: the later would win, whichever it is.
  expect({ mode, rows_written }).toEqual({ mode: 'full', rows_written: stats.size })
  expect(stats).toEqual(await story.expectedStats())
  expect(await story.quarantine()).toEqual(await story.expectedQuarantine())
})

test('a row without a chip or a time leaves quarantine when it is mended or deleted', async () => {
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2020-01-01' })
  await story.client.query(`
    INSERT INTO telemetry_events (signal, chip_id, recorded_at) VALUES
      ('status', NULL, '2026-01-02Z'), ('status', '', '2026-01-02Z'), ('status', NULL, '2026-01-03Z'),
      ('status', 'c1', 'infinity'), ('status', 'c1', '-infinity'), ('status', NULL, 'infinity')`)
  expect(await run()).toMatchObject({ rows_quarantined: 6 })
  await story.client.query("UPDATE telemetry_events SET chip_id = 'c1' WHERE id = 1")
  await run()
  expect(await story.quarantine()).toEqual(['2', '3', '4', '5', '6'])
  await story.client.query('DELETE FROM telemetry_events WHERE id IN (2, 4)')
  await run()
  expect(await story.quarantine()).toEqual(['3', '5', '6'])
  // Also when what is gone is not noted, by a run that looks at everything.
  await story.client.query('ALTER TABLE telemetry_events DISABLE TRIGGER USER')
  await story.client.query('DELETE FROM telemetry_events WHERE id IN (3, 5)')
  await run()
  expect(await story.quarantine()).toEqual(['3', '5', '6'])
  const inTokyo = await story.createEtl({ config: { timeZone: 'Asia/Tokyo' } }).runOnce()
  expect(inTokyo).toMatchObject({ mode: 'full', default_time_zone: 'Asia/Tokyo' })
  expect(await story.quarantine()).toEqual(['6'])
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('an id beyond 2^53 is told exactly, whichever row it is that counts and which does not', async () => {
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2020-01-01' })
  // Stored out of the order of their ids. A number of JavaScript takes each two neighbours for the same.
  await story.client.query(`
    INSERT INTO telemetry_events (id, signal, chip_id, recorded_at, battery_percent) OVERRIDING SYSTEM VALUE VALUES
      (9007199254740993, 'status', 'c1', '2026-01-02 10:00Z', 20),
      (9007199254740992, 'status', 'c1', '2026-01-02 10:00Z', 10),
      (9007199254740997, 'status', 'c1', '2026-01-02 11:00Z', 101),
      (9007199254740999, 'status', NULL, '2026-01-02 11:00Z', 50),
      (9007199254741001, 'status', NULL, '2026-01-02 11:00Z', 50),
      (9223372036854775807, 'status', NULL, '2026-01-02 11:00Z', 50),
      (-9223372036854775808, 'status', 'c1', 'infinity', 50)`)
  expect(await run()).toMatchObject({ rows_quarantined: 6 })
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(await story.quarantine()).toEqual([
    '-9223372036854775808',
    '9007199254740993',
    '9007199254740997',
    '9007199254740999',
    '9007199254741001',
    '9223372036854775807',
  ])
  expect(await listQuarantine(world.warehouse, { reason: 'duplicate', limit: 9 })).toMatchObject([
    { rowId: '9007199254740993', detail: 'of row 9007199254740992' },
  ])
  await story.client.query(`
    DELETE FROM telemetry_events WHERE id IN (9007199254740992, 9007199254740999, 9223372036854775807, -9223372036854775808)`)
  await run()
  expect(await story.quarantine()).toEqual(['9007199254740997', '9007199254741001'])
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('a row that is far ahead is measured when its day has come, and judged as any other', async () => {
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2020-01-01' })
  await story.stopClock(at('2026-03-01T12:00Z'))
  // The second was stored when the database's clock was as wrong as the device's.
  await story.send([
    { chip_id: 'c1', recorded_at: at('2026-03-07T12:00Z'), ingested_at: at('2026-03-01T12:00Z') },
    { chip_id: 'c1', recorded_at: at('2026-03-07T13:00Z'), ingested_at: at('2026-03-07T13:00Z') },
    { chip_id: 'c1', recorded_at: at('2026-02-07T12:00Z') },
  ])
  await run()
  expect(await story.quarantine()).toEqual(['1', '2'])
  await story.stopClock(at('2026-03-08T12:00Z'))
  // Of a chip of which rows were deleted all that is in quarantine without a day is compared.
  await story.client.query('DELETE FROM telemetry_events WHERE id = 3')
  expect(await run()).toMatchObject({ mode: 'increment' })
  story.noteFirmware('2026-03-01')
  expect(await story.stats()).toEqual(await story.expectedStats())
  expect(await story.quarantine()).toEqual(['1'])
  expect(await run()).toMatchObject({ pairs: 0 })
})

test('at both ends of what is measured a row has a day that counts, where its owner lives, or is in quarantine', async () => {
  await story.stopClock(at('2026-03-01T12:00Z'))
  await story.live(alice, 'Pacific/Kiritimati')
  await story.live(bob, 'America/Los_Angeles')
  await story.issue({ chip_id: 'east', customer_id: alice, issued_at: '2026-01-01' })
  await story.issue({ chip_id: 'west', customer_id: bob, issued_at: '2026-01-01' })
  await story.issue({ chip_id: 'seldom', customer_id: bob, issued_at: '2026-01-01' })
  const etl = story.createEtl({ config: { firstDay: '2026-01-10' } })
  const ends = ['2026-01-09T09:00Z', '2026-01-09T11:00Z', '2026-01-10T07:00Z', '2026-01-10T09:00Z']
  // Two days ahead, by a clock of the database that was so too.
  const ahead = ['2026-03-03T09:00Z', '2026-03-03T11:00Z', '2026-03-04T07:00Z', '2026-03-04T09:00Z']
  const send = (times: string[]) =>
    story.send(
      ['east', 'west'].flatMap((chip_id) => times.map((time) => ({ chip_id, recorded_at: at(time) }))),
    )
  await send(ends)
  await etl.runOnce()
  await send(ahead)
  await story.send([
    { chip_id: 'seldom', recorded_at: at('2026-03-04T07:00Z') },
    { chip_id: 'east', recorded_at: at('2026-01-09T12:00Z') },
  ])
  await etl.runOnce()
  const days = [...(await story.stats()).values()].map(({ chip_id, day, events }) => [chip_id, day, events])
  expect(days.sort()).toEqual([
    ['east', '2026-01-10', 4],
    ['east', '2026-03-03', 1],
    ['seldom', '2026-03-03', 1],
    ['west', '2026-01-10', 1],
    ['west', '2026-03-03', 3],
  ])
  expect(await countQuarantine(world.warehouse)).toEqual([
    { reason: 'before_first_day', rows: 4 },
    { reason: 'no_day', rows: 4 },
  ])
  await story.live(bob, 'UTC')
  expect(await etl.runOnce()).toMatchObject({ mode: 'increment' })
  expect(await countQuarantine(world.warehouse)).toEqual([
    { reason: 'before_first_day', rows: 3 },
    { reason: 'no_day', rows: 6 },
  ])
  await story.stopClock(at('2026-03-02T12:00Z'))
  await etl.runOnce()
  expect(await countQuarantine(world.warehouse)).toEqual([{ reason: 'before_first_day', rows: 3 }])
  const events = [...(await story.stats()).values()].map(({ events }) => events)
  expect(events.reduce((a, b) => a + b)).toBe(15)
  expect(await etl.runOnce()).toMatchObject({ pairs: 0 })
})

test('any number of rows that no number is made of goes into quarantine, or leaves it, a piece after the other', async () => {
  const rows = 100_000
  const atOnce: number[] = []
  const warehouse: Warehouse = {
    ...world.warehouse,
    async query(query, params) {
      const found = await world.warehouse.query(query, params)
      atOnce.push(found.length)
      return found
    },
    async insertRows(table, inserted) {
      atOnce.push(inserted.length)
      await world.warehouse.insertRows(table, inserted)
    },
  }
  const etl = story.createEtl({ warehouse })
  await story.client.query(
    `INSERT INTO telemetry_events (id, signal, chip_id, recorded_at) OVERRIDING SYSTEM VALUE
     SELECT n - ${rows / 2}, 'status', CASE n % 4 WHEN 0 THEN 'c' || n % 1000 END, CASE n % 4 WHEN 0 THEN 'infinity' ELSE '2026-01-02Z'::timestamptz END
     FROM generate_series(1, ${rows}) AS n`,
  )
  expect(await etl.runOnce()).toMatchObject({ state: 'succeeded', rows_quarantined: rows })
  expect(await countQuarantine(world.warehouse)).toEqual([
    { reason: 'clock_ahead', rows: 25_000 },
    { reason: 'no_chip', rows: 75_000 },
  ])
  await story.client.query('ALTER TABLE telemetry_events DISABLE TRIGGER USER')
  await story.client.query('DELETE FROM telemetry_events WHERE id NOT IN (-40_000, 49_000)')
  await story.createEtl({ warehouse, config: { timeZone: 'Asia/Tokyo' } }).runOnce()
  expect(await story.quarantine()).toEqual(['-40000', '49000'])
  // Those that are held until there are enough, and those of the ids that are being read.
  expect(Math.max(...atOnce)).toBeLessThanOrEqual(40_000)
}, 300_000)

test('what is wrong with ownership is said and measured all the same', async () => {
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
  await story.issue({ chip_id: 'c1', customer_id: bob, issued_at: '2026-01-05' })
  await story.issue({ chip_id: 'c2', customer_id: bob, issued_at: '2026-01-05', returned_at: '2026-01-03' })
  await story.live(bob, 'Europe/Nowhere')
  await story.send([
    { chip_id: 'c1', recorded_at: at('2026-01-06T10:00Z') },
    { chip_id: 'c2', recorded_at: at('2026-01-06T10:00Z') },
    { chip_id: 'stray', recorded_at: at('2026-01-06T10:00Z') },
  ])
  const { problems, rows_unowned } = await run()
  const kinds = problems.map(({ kind, subject }) => `${kind} ${subject}`).sort()
  expect(kinds).toEqual([
    'overlapping_ownership c1',
    'returned_before_issued c2',
    'telemetry_without_owner c2',
    'unknown_chip stray',
    'unknown_customer ',
    'unknown_model 1',
    'unknown_time_zone Europe/Nowhere',
    'warning_check freshness',
  ])
  expect(rows_unowned).toBe(2)
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('an overlap is said of whoever still has it, over those who had it meanwhile or for no day', async () => {
  const chip_id = 'c1'
  const had = async (customer_id: string, issued_at: string, returned_at: string | null = null) =>
    (await story.issue({ chip_id, customer_id, issued_at, returned_at })).id
  const overlaps = async () =>
    (await run()).problems
      .filter(({ kind }) => kind === 'overlapping_ownership')
      .map(({ detail }) => detail.match(/[0-9a-f-]{36}/g))
  const a = await had(alice, '2026-01-01', '2026-04-10')
  const b = await had(bob, '2026-01-10', '2026-01-20')
  const c = await had(alice, '2026-01-30', '2026-02-10')
  const d = await had(bob, '2026-04-10')
  expect(await overlaps()).toEqual([
    [a, b],
    [a, c],
  ])
  await had(alice, '2026-05-05', '2026-05-05')
  await had(alice, '2026-05-06', '2026-05-05')
  const f = await had(alice, '2026-05-06')
  expect(await overlaps()).toEqual([
    [a, b],
    [a, c],
    [d, f],
  ])
})

test('telemetry that is nobody’s is listed by chip and day until the CRM says whose it is', async () => {
  await story.issue({ chip_id: 'known', customer_id: alice, issued_at: '2026-01-08' })
  const send = (chip_id: string, day: string, rows = 1) =>
    story.send(Array.from({ length: rows }, (_, n) => ({ chip_id, recorded_at: at(`${day}T10:0${n}:00Z`) })))
  await send('known', '2026-01-06', 2)
  await send('stray', '2026-01-06', 3)
  await run()
  await send('stray', '2026-01-07')
  await run()
  expect(await listUnowned(world.warehouse, { limit: 9 })).toEqual([
    {
      chip_id: 'stray',
      is_known: false,
      row_count: 4,
      days: [
        { day: '2026-01-06', rows: 3 },
        { day: '2026-01-07', rows: 1 },
      ],
    },
    { chip_id: 'known', is_known: true, row_count: 2, days: [{ day: '2026-01-06', rows: 2 }] },
  ])
  expect(await listUnowned(world.warehouse, { limit: 9, chip: 'known' })).toHaveLength(1)

  await story.issue({ chip_id: 'stray', customer_id: bob, issued_at: '2026-01-07' })
  await story.client.query("DELETE FROM telemetry_events WHERE chip_id = 'known'")
  expect(await run()).toMatchObject({ mode: 'increment' })
  expect(await story.unowned()).toEqual(['stray 2026-01-06 3 true'])
  expect(await story.unowned()).toEqual(await story.expectedUnowned())
})

test('what stands of a piece of a day stays when somebody else’s piece of it is measured again', async () => {
  await story.live(alice, 'America/Los_Angeles')
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-03' })
  const sent = (time: string, more = {}) => ({ chip_id: 'c1', recorded_at: at(time), ...more })
  // Her 3 January begins at 08:00Z. Before, it is nobody's.
  await story.send([sent('2026-01-03T01:00:00Z'), sent('2026-01-03T02:00:00Z', { battery_percent: 101 })])
  await run()
  const unowned = await story.unowned()
  const quarantine = await story.quarantine()
  expect([unowned.length, quarantine.length]).toEqual([1, 1])
  await story.send([sent('2026-01-03T12:00:00Z')])
  await run()
  expect(await story.unowned()).toEqual(unowned)
  expect(await story.quarantine()).toEqual(quarantine)
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('a check that blocks keeps what stands, until it is accepted', async () => {
  for (let n = 0; n < 12; n++) {
    await story.issue({ chip_id: `c${n}`, customer_id: alice, issued_at: '2026-01-01' })
    await story.send([{ chip_id: `c${n}`, recorded_at: at('2026-01-02T10:00Z') }])
  }
  await run()
  for (const id of [...story.prostheses.keys()]) await story.remove(id)
  const failure = await run().catch((error: Error) => error)
  expect(failure).toMatchObject({ message: expect.stringContaining('TENDON-ETL-008') })
  expect((await story.stats()).size).toBe(12)
  expect(await run({ acceptChecks: true })).toMatchObject({
    rows_deleted: 12,
    problems: expect.arrayContaining([
      { kind: 'failed_check', subject: 'prostheses_gone', detail: expect.any(String) },
    ]),
  })
})

test('a last day with far more or fewer rows than those before it, or none, is warned of and loaded all the same', async () => {
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2020-01-01' })
  const today = at('2026-03-10T00:00Z')
  await story.stopClock(at('2026-03-10T12:00Z'))
  const sendOn = (daysAgo: number, rows: number) =>
    story.send(
      Array.from({ length: rows }, (_, n) => ({
        chip_id: 'c1',
        recorded_at: new Date(today.getTime() - daysAgo * 86_400_000 + n * 1000),
      })),
    )
  const drift = async () =>
    (await run()).problems.filter(({ subject }) => subject === 'row_count_drift').map(({ kind }) => kind)
  for (const daysAgo of [2, 3, 4, 5]) await sendOn(daysAgo, 10)
  // A run checks what stands before it measures.
  expect(await drift()).toEqual([])
  expect(await drift()).toEqual(['warning_check'])
  await sendOn(1, 4)
  await run()
  expect(await drift()).toEqual(['warning_check'])
  await story.client.query('DELETE FROM telemetry_events WHERE recorded_at >= $1', [
    new Date(today.getTime() - 86_400_000),
  ])
  await sendOn(1, 6)
  await run()
  expect(await drift()).toEqual([])
  await story.client.query('DELETE FROM telemetry_events WHERE recorded_at >= $1', [
    new Date(today.getTime() - 86_400_000),
  ])
  await sendOn(1, 21)
  await run()
  expect(await drift()).toEqual(['warning_check'])
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('the last complete day is over where the patients live, and not in the default zone', async () => {
  await story.live(alice, 'Pacific/Honolulu')
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2020-01-01' })
  // In Kiritimati it is always the day after that of Honolulu.
  const etl = story.createEtl({ config: { timeZone: 'Pacific/Kiritimati' } })
  // Nine in the morning in Honolulu.
  const now = at('2026-03-10T19:00Z')
  await story.stopClock(now)
  const rows = [1, 2, 3, 4, 5].flatMap((daysAgo) =>
    Array.from({ length: 10 }, (_, n) => new Date(now.getTime() - daysAgo * 86_400_000 - n)),
  )
  await story.send([now, ...rows].map((recorded_at) => ({ chip_id: 'c1', recorded_at })))
  await etl.runOnce()
  expect(await etl.runOnce()).toMatchObject({ state: 'succeeded', problems: [{ subject: '1' }] })
})
