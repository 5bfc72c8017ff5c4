import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyCrmSchema, applyTelemetrySchema } from './apply-schema.ts'
import { startTestPostgres, type TestPostgres } from './test-database.fixture.ts'

let server: TestPostgres
let client: pg.Client

beforeAll(async () => {
  server = await startTestPostgres()
  client = new pg.Client({ connectionString: await server.freshDatabase() })
  await client.connect()
  for (const apply of [applyCrmSchema, applyTelemetrySchema, applyCrmSchema, applyTelemetrySchema]) {
    await apply(client)
  }
})

afterAll(async () => {
  await client.end()
  await server.remove()
})

describe('the schemas', () => {
  test('describe every table and column', async () => {
    const { rows } = await client.query(`
      SELECT c.relname AS table, a.attname AS column
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND (a.attnum > 0 OR a.attnum = -1) AND NOT a.attisdropped
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND col_description(c.oid, greatest(a.attnum, 0)) IS NULL
        AND (a.attnum > 0 OR obj_description(c.oid) IS NULL)`)
    expect(rows).toEqual([])
  })

  test('refuse a chip with two owners, an unknown side, and a return before the issue', async () => {
    await client.query(`
      INSERT INTO customers (id, full_name, email, date_of_birth, address, locale, time_zone)
      VALUES ('00000000-0000-4000-8000-000000000001', 'Ada', 'ada@example.org', '1990-01-01', '{}', 'en', 'UTC');
      INSERT INTO prosthesis_models VALUES (1, 'One', 'hand', 1, 400, 1, '{}', '2020-01-01')`)
    const issue = (chip: string, side: string, issuedAt: string, returnedAt: string | null) =>
      client.query(
        `INSERT INTO prostheses (serial_number, chip_id, customer_id, model_id, side, firmware_version, issued_at, returned_at)
         VALUES ('S', $1, '00000000-0000-4000-8000-000000000001', 1, $2, '1.0.0', $3, $4)`,
        [chip, side, issuedAt, returnedAt],
      )
    await issue('A', 'left', '2024-01-01', '2024-02-01')
    await issue('A', 'left', '2024-02-01', null)
    await expect(issue('A', 'left', '2024-03-01', null)).rejects.toThrow('prostheses_current_owner')
    await expect(issue('A', 'left', '2024-01-01', '2024-01-02')).rejects.toThrow('chip_id_issued_at')
    await expect(issue('B', 'middle', '2024-01-01', null)).rejects.toThrow('side')
    await expect(issue('B', 'left', '2024-01-02', '2024-01-01')).rejects.toThrow(
      'prostheses_returned_after_issued',
    )
  })

  test('partition telemetry by UTC week, taking rows back from the default partition', async () => {
    // A session far from UTC, whose dates are written otherwise, must make the same partitions.
    await client.query(`SET TIME ZONE 'Pacific/Auckland'; SET datestyle = 'SQL, DMY'`)
    const insert = `
      INSERT INTO telemetry_events (chip_id, signal, recorded_at) VALUES
        ('A', 'status', '2024-04-29T00:00:00Z'), ('A', 'status', '2024-05-05T23:59:59.999Z'),
        ('A', 'status', '2024-05-06T00:00:00Z'), ('A', 'status', '1970-01-01T00:00:00Z')
      RETURNING id, ingest_xid`
    const before = await client.query(insert)
    const ensure = `SELECT ensure_telemetry_partitions('2024-05-05', '2024-05-06') AS created`
    expect((await client.query(ensure)).rows).toEqual([{ created: 2 }])
    expect((await client.query(ensure)).rows).toEqual([{ created: 0 }])
    const after = await client.query('SELECT id, ingest_xid FROM telemetry_events ORDER BY id')
    expect(after.rows).toEqual(before.rows)

    await client.query(insert)
    expect(await countByPartition(client)).toEqual({
      telemetry_events_20240429_20240505: 4,
      telemetry_events_20240506_20240512: 2,
      telemetry_events_default: 2,
    })
    const { rows } = await client.query(
      `SELECT count(*)::int, count(*) FILTER (WHERE indexdef LIKE '%(ingest_xid)%')::int AS by_xid
       FROM pg_indexes WHERE tablename = 'telemetry_events_20240429_20240505'`,
    )
    expect(rows).toEqual([{ count: 2, by_xid: 1 }])
  })

  test('leave the days that have a partition of their own where they are', async () => {
    const daily = new pg.Client({ connectionString: await server.freshDatabase() })
    await daily.connect()
    await applyTelemetrySchema(daily)
    await daily.query(`SET TIME ZONE 'America/New_York'`)
    const at = (day: number) => `2024-05-${String(day).padStart(2, '0')}`
    for (const day of [8, 9, 11, 13]) {
      await daily.query(
        `CREATE TABLE telemetry_events_202405${String(day).padStart(2, '0')} PARTITION OF telemetry_events
         FOR VALUES FROM ('${at(day)}T00:00Z') TO ('${at(day + 1)}T00:00Z')`,
      )
    }
    // One that was taken out for a while can be put back.
    await daily.query('ALTER TABLE telemetry_events DETACH PARTITION telemetry_events_20240511')
    await daily.query(
      `INSERT INTO telemetry_events (chip_id, signal, recorded_at)
       SELECT 'A', 'status', '2024-05-06T12:00Z'::timestamptz + n * interval '1 day' FROM generate_series(0, 14) AS n`,
    )
    const ensure = `SELECT ensure_telemetry_partitions('2024-05-12', '2024-05-13') AS created`
    expect((await daily.query(ensure)).rows).toEqual([{ created: 4 }])
    expect((await daily.query(ensure)).rows).toEqual([{ created: 0 }])
    expect(await countByPartition(daily)).toEqual({
      telemetry_events_20240506_20240507: 2,
      telemetry_events_20240508: 1,
      telemetry_events_20240509: 1,
      telemetry_events_20240510_20240510: 1,
      telemetry_events_20240512_20240512: 1,
      telemetry_events_20240513: 1,
      telemetry_events_20240514_20240519: 6,
      telemetry_events_default: 2,
    })
    await daily.query(`DELETE FROM telemetry_events_default WHERE recorded_at < '2024-05-12'`)
    await daily.query(
      `ALTER TABLE telemetry_events ATTACH PARTITION telemetry_events_20240511
       FOR VALUES FROM ('2024-05-11T00:00Z') TO ('2024-05-12T00:00Z')`,
    )
    await daily.end()
  })
})

async function countByPartition(database: pg.Client): Promise<Record<string, number>> {
  const { rows } = await database.query<{ partition: string; count: number }>(
    `SELECT tableoid::regclass::text AS partition, count(*)::int FROM telemetry_events GROUP BY 1 ORDER BY 1`,
  )
  return Object.fromEntries(rows.map(({ partition, count }) => [partition, count]))
}
