import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { openTelemetryView } from './telemetry.ts'
import { withWholeChips } from './touched-days.ts'

const postgres = await startTestPostgres()
afterAll(() => postgres.remove())

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

test('a partition made while a view is open hides none of its rows', async () => {
  const url = await postgres.freshDatabase()
  const [reader, writer] = await Promise.all([connect(url), connect(url)])
  await applyTelemetrySchema(writer)
  await writer.query(
    "INSERT INTO telemetry_events (chip_id, signal, recorded_at) SELECT 'c1', 'status', '2026-01-02 10:00Z' FROM generate_series(1, 3)",
  )
  const view = await openTelemetryView(reader, '4MB')
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

  const { chipsByDay } = await view.daysSince('0')
  const touched = withWholeChips(chipsByDay, new Map(), [])
  const chipDays = await view.measure(touched)
  expect([...chipDays.measures.events]).toEqual([3])
  await view.close()
  expect((await moving).rows).toEqual([{ created: 1 }])

  const next = await openTelemetryView(reader, '4MB')
  expect([...(await next.measure(touched)).measures.events]).toEqual([3])
  await Promise.all([reader.end(), writer.end(), watcher.end()])
})

test('what is measured does not depend on the plan', async () => {
  const url = await postgres.freshDatabase()
  const client = await connect(url)
  await applyTelemetrySchema(client)
  await client.query(`
    INSERT INTO telemetry_events (chip_id, signal, recorded_at, response_time_ms)
    SELECT 'c' || i % 3, 'status', '2026-01-02Z'::timestamptz + i * interval '1 second', (random() * 10 ^ (i % 9))::real
    FROM generate_series(1, 20000) AS i`)
  const touched = {
    chipsByDay: new Map([[20_455, new Set(['c0', 'c1', 'c2'])]]),
    wholeChips: new Set<string>(),
  }
  const averages: Record<string, number>[] = []
  for (const setting of ['seqscan', 'indexscan', 'sort', 'hashagg', 'presorted_aggregate']) {
    await client.query(`RESET ALL`)
    await client.query(`SET enable_${setting} = off`)
    const view = await openTelemetryView(client, '64kB')
    const { chipId, measures } = await view.measure(touched)
    averages.push(Object.fromEntries(chipId.map((chip, i) => [chip, measures.response_time_avg_ms[i]!])))
    await view.close()
  }
  expect(averages[0]).toHaveProperty('c0', expect.any(Number))
  for (const other of averages) expect(other).toEqual(averages[0])
  await client.end()
})
