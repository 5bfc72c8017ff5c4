import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import type pg from 'pg'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import type { EtlRun } from '../run/run-records.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const alice = '00000000-0000-4000-8000-00000000000a'
let story: Story

beforeEach(async () => {
  story = await world.freshStory()
  await story.issue({ chip_id: 'c1', customer_id: alice, issued_at: '2026-01-01' })
})
afterEach(() => story.end())

const row = (day: number) => ({
  chip_id: 'c1',
  recorded_at: new Date(`2026-01-${String(day).padStart(2, '0')}T10:00:00Z`),
})

async function run(config = {}): Promise<EtlRun> {
  const ended = await story.createEtl({ config }).runOnce()
  if (ended.state === 'skipped') throw new Error('skipped')
  return ended
}

test.each<[string, (slow: pg.Client) => Promise<unknown>]>([
  ['that sends rows', (slow) => story.send([row(2)], slow)],
  ['that does DDL', (slow) => slow.query('CREATE TABLE another (id int)')],
])(
  'a transaction %s and stays open holds the watermark back, which is said, and loses nothing',
  async (_, begin) => {
    const slow = await story.connect()
    await slow.query('BEGIN')
    await begin(slow)
    const first = await run()
    for (let day = 3; day < 6; day++) await story.send([row(day)])
    const held = await run()
    expect(held.watermark_to).toBe(first.watermark_to)
    expect(held.watermark_lag_s).toBeGreaterThan(0)
    expect(await story.stats()).toEqual(await story.expectedStats())
    await slow.query('COMMIT')
    await slow.end()
    const free = await run()
    expect(BigInt(free.watermark_to)).toBeGreaterThan(BigInt(first.watermark_to))
    expect(free.watermark_lag_s).toBe(0)
    expect(await story.stats()).toEqual(await story.expectedStats())
  },
)

test.each([
  { loss: 'none is lost by ingest_xid', by: 'ingest_xid', lost: 0, lagMinutes: 0 },
  { loss: 'half are lost by a timestamp alone', by: 'ingested_at', lost: 6, lagMinutes: 0 },
  {
    loss: 'none is lost by one with a window that is long enough',
    by: 'ingested_at',
    lost: 0,
    lagMinutes: 60,
  },
])('of twelve rows, the oldest of which are committed last, $loss', async ({ by, lost, lagMinutes }) => {
  if (by === 'ingested_at') await story.client.query('ALTER TABLE telemetry_events DROP ingest_xid')
  const runNow = () => run({ timestampLagMinutes: lagMinutes })
  const open = await Promise.all(Array.from({ length: 6 }, () => story.connect()))
  for (const [round, writer] of open.entries()) {
    await writer.query('BEGIN')
    await story.send([row(2 + round)], writer)
    await story.send([row(20 + round)])
    await runNow()
  }
  for (const writer of open) {
    await writer.query('COMMIT')
    await writer.end()
  }
  // Two: what one run misses the next does not find.
  for (let n = 0; n < 2; n++) {
    expect(await runNow()).toMatchObject({ watermark_kind: by === 'ingest_xid' ? 'xid' : 'timestamp' })
  }
  const [stands, expected] = [await story.stats(), await story.expectedStats()]
  expect(expected.size).toBe(12)
  // The oldest writers' days come first.
  expect([...stands]).toEqual([...expected].slice(lost))
})

test('rows from before there was the column are measured, and the column is gone by from then on', async () => {
  await story.client.query('DROP TABLE telemetry_events, telemetry_corrections CASCADE')
  await story.client.query(
    'CREATE TABLE telemetry_events (id bigserial, chip_id text, signal text, recorded_at timestamptz, ingested_at timestamptz DEFAULT now(), response_time_ms real, battery_percent smallint, error_code text, movement_count int, active_ms int)',
  )
  await story.send([row(2)])
  const before = await run()
  expect(before).toMatchObject({ watermark_kind: 'timestamp', mode: 'full', rows_written: 1 })
  expect(before.problems.map(({ kind }) => kind)).toContain('timestamp_watermark')
  await story.send([row(3)])
  expect(await run()).toMatchObject({ watermark_kind: 'timestamp', mode: 'increment', rows_written: 1 })

  // A writer that does not say when: nobody knows whether a run has seen the row.
  await story.client.query(
    'INSERT INTO telemetry_events SELECT 1000, chip_id, signal, $1, NULL FROM telemetry_events LIMIT 1',
    [row(4).recorded_at],
  )
  expect(await run()).toMatchObject({ mode: 'increment', rows_written: 1 })
  expect(await run()).toMatchObject({ mode: 'increment', rows_written: 0 })

  await story.client.query('ALTER TABLE telemetry_events ADD ingest_xid xid8')
  await story.client.query('ALTER TABLE telemetry_events ALTER ingest_xid SET DEFAULT pg_current_xact_id()')
  const after = await run()
  expect(after).toMatchObject({ watermark_kind: 'xid', mode: 'full', rows_written: 0, rows_unchanged: 3 })
  await story.send([row(2)])
  expect(await run()).toMatchObject({ mode: 'increment', pairs: 1, rows_written: 0, rows_quarantined: 1 })
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test.each(['DROP ingest_xid, DROP ingested_at', 'DROP ingested_at'])(
  'a source that does not say when rows were stored is refused (%s)',
  async (columns) => {
    await story.client.query(`ALTER TABLE telemetry_events ${columns}`)
    await expect(run()).rejects.toMatchObject({ message: expect.stringContaining('TENDON-ETL-006') })
  },
)

test('a restored table, whose rows carry the transactions of another life, is measured whole', async () => {
  await story.send([row(2), row(12), row(22)])
  await run()
  await story.client.query('CREATE TABLE dump AS SELECT * FROM telemetry_events WHERE recorded_at = $1', [
    row(12).recorded_at,
  ])
  await story.client.query('DROP TABLE telemetry_events CASCADE')
  await applyTelemetrySchema(story.client)
  await story.client.query('INSERT INTO telemetry_events OVERRIDING SYSTEM VALUE SELECT * FROM dump')
  expect(await run()).toMatchObject({ mode: 'full', rows_deleted: 2, rows_unchanged: 1 })
  expect(await story.stats()).toEqual(await story.expectedStats())
})

test('another definition of the numbers measures everything again, once', async () => {
  await story.send([{ ...row(2), recorded_at: new Date('2026-01-02T23:30:00Z') }])
  await run()
  const moved = await run({ timeZone: 'Asia/Tokyo' })
  expect(moved).toMatchObject({ mode: 'full', rows_written: 1, rows_deleted: 1 })
  expect(await run({ timeZone: 'Asia/Tokyo' })).toMatchObject({ mode: 'increment', pairs: 0 })
})

test('days before the first that is measured keep what stands for them when their telemetry is dropped', async () => {
  await story.send([row(2), row(20)])
  await run()
  await story.client.query('ALTER TABLE telemetry_events DISABLE TRIGGER USER')
  await story.client.query('DELETE FROM telemetry_events WHERE recorded_at < $1', [row(10).recorded_at])
  const later = await run({ firstDay: '2026-01-10' })
  expect(later).toMatchObject({ mode: 'full', rows_deleted: 0, rows_unchanged: 1 })
  expect((await story.stats()).size).toBe(2)
})

test('what was stored before the first day that is measured is nothing wrong, and what comes after it for days before it is', async () => {
  const stored = (...days: number[]) =>
    days.map((day) => ({ ...row(day), ingested_at: row(day).recorded_at }))
  await story.send(stored(2, 3, 20))
  await run()
  expect(await run({ firstDay: '2026-01-10' })).toMatchObject({ mode: 'full', rows_quarantined: 0 })
  await story.send([{ ...row(3), ingested_at: row(11).recorded_at }])
  expect(await run({ firstDay: '2026-01-10' })).toMatchObject({ mode: 'increment', rows_quarantined: 1 })
  expect(await story.quarantine()).toEqual(['4'])
  expect((await story.stats()).size).toBe(3)
  // Of what another source does not say when it was stored nobody knows that it was measured.
  await story.client.query('ALTER TABLE telemetry_events ALTER ingested_at DROP NOT NULL')
  await story.client.query('UPDATE telemetry_events SET ingested_at = NULL WHERE id = 1')
  await run({ firstDay: '2026-01-10' })
  expect(await story.quarantine()).toEqual(['1', '4'])
})
