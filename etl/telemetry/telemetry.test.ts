import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { wholeRowLength } from './packed-rows.ts'
import { readSourceTraits } from './source-traits.ts'
import { openTelemetryView, type TelemetryView } from './telemetry.ts'

const postgres = await startTestPostgres()
afterAll(() => postgres.remove())

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

/** Rows of all chips of a day, counted. */
async function countRows(view: TelemetryView): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const day = { fromUs: at('2026-01-02T00:00Z'), toUs: at('2026-01-03T00:00Z') }
  await view.rowsOfTime(day, 'whole', (chip, bytes) => {
    counts[chip] = bytes.length / wholeRowLength
  })
  return counts
}
const at = (text: string) => Date.parse(text) * 1000

async function openView(client: pg.Client, workMem = '4MB'): Promise<TelemetryView> {
  return openTelemetryView(client, await readSourceTraits(client), workMem)
}

test('a partition made while a view is open hides none of its rows', async () => {
  const url = await postgres.freshDatabase()
  const [reader, writer] = await Promise.all([connect(url), connect(url)])
  await applyTelemetrySchema(writer)
  await writer.query(
    "INSERT INTO telemetry_events (chip_id, signal, recorded_at) SELECT 'c1', 'status', '2026-01-02 10:00Z' FROM generate_series(1, 3)",
  )
  const view = await openView(reader)
  const moving = writer.query("SELECT ensure_telemetry_partitions('2026-01-02', '2026-01-02') AS created")
  const watcher = await connect(url)
  // Either the move waits for the view, or it is done: both can be seen, neither needs a pause.
  let moved = false
  void moving.then(() => {
    moved = true
  })
  const waiting =
    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'SELECT ensure%'"
  while (!moved && (await watcher.query(waiting)).rowCount === 0);

  expect(await countRows(view)).toEqual({ c1: 3 })
  await view.close()
  expect((await moving).rows).toEqual([{ created: 1 }])
  const next = await openView(reader)
  expect(await countRows(next)).toEqual({ c1: 3 })
  await Promise.all([reader.end(), writer.end(), watcher.end()])
})

test('a view beside another sees the very same', async () => {
  const url = await postgres.freshDatabase()
  const [reader, writer, other] = await Promise.all([connect(url), connect(url), connect(url)])
  await applyTelemetrySchema(writer)
  const insert =
    "INSERT INTO telemetry_events (chip_id, signal, recorded_at) VALUES ('c1', 'status', '2026-01-02 10:00Z')"
  await writer.query(insert)
  const view = await openView(reader)
  await writer.query(insert)
  const beside = await view.beside(async () => other)
  expect(await countRows(beside)).toEqual({ c1: 1 })
  expect(await countRows(await openView(writer))).toEqual({ c1: 2 })
  await Promise.all([reader.end(), writer.end(), other.end()])
})
