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

  test('partition telemetry by UTC day, taking rows back from the default partition', async () => {
    // A session far from UTC must make the same partitions.
    await client.query(`SET TIME ZONE 'Pacific/Auckland'`)
    const insert = `
      INSERT INTO telemetry_events (chip_id, signal, recorded_at) VALUES
        ('A', 'status', '2024-05-01T00:00:00Z'), ('A', 'status', '2024-05-01T23:59:59.999Z'),
        ('A', 'status', '2024-05-02T00:00:00Z'), ('A', 'status', '1970-01-01T00:00:00Z')
      RETURNING id, ingest_xid`
    const before = await client.query(insert)
    const ensure = `SELECT ensure_telemetry_partitions('2024-05-01', '2024-05-02') AS created`
    expect((await client.query(ensure)).rows).toEqual([{ created: 2 }])
    expect((await client.query(ensure)).rows).toEqual([{ created: 0 }])
    const after = await client.query('SELECT id, ingest_xid FROM telemetry_events ORDER BY id')
    expect(after.rows).toEqual(before.rows)

    await client.query(insert)
    const { rows } = await client.query(
      `SELECT tableoid::regclass::text AS partition, count(*)::int FROM telemetry_events GROUP BY 1 ORDER BY 1`,
    )
    expect(rows).toEqual([
      { partition: 'telemetry_events_20240501', count: 4 },
      { partition: 'telemetry_events_20240502', count: 2 },
      { partition: 'telemetry_events_default', count: 2 },
    ])
    const indexes = await client.query(
      `SELECT count(*)::int FROM pg_indexes WHERE tablename = 'telemetry_events_20240501'`,
    )
    expect(indexes.rows).toEqual([{ count: 2 }])
    const found = await client.query(
      `SELECT indexdef FROM pg_indexes WHERE tablename = 'telemetry_events_20240501' AND indexdef LIKE '%(ingest_xid)%'`,
    )
    expect(found.rowCount).toBe(1)
  })
})
