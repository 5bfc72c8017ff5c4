import { createLog } from '@tendon/platform/log.ts'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyCrmSchema } from './apply-schema.ts'
import { demoPeople } from './demo-people.ts'
import { loadDemoData } from './load-demo-data.ts'
import { startTestPostgres, type TestPostgres } from './test-database.fixture.ts'

const log = createLog({ service: 'sources-test', level: 'fatal' })
const today = new Date('2026-03-01T17:45:00Z')
const volume = { customers: 40, prostheses: 52, days: 60 }

let server: TestPostgres
let crmUrl: string
let telemetryUrl: string
let crm: pg.Client
let telemetry: pg.Client
let clients: pg.Client[]

beforeAll(async () => {
  server = await startTestPostgres()
  clients = []
  crmUrl = await server.freshDatabase()
  telemetryUrl = await server.freshDatabase()
  crm = await connect(crmUrl)
  telemetry = await connect(telemetryUrl)
  await loadDemoData({ crmUrl, telemetryUrl, today, volume, log })
})

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()))
  await server.remove()
})

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  clients.push(client)
  return client
}

async function one<Row extends pg.QueryResultRow>(client: pg.Client, sql: string, values: unknown[] = []) {
  const { rows } = await client.query<Row>(sql, values)
  return rows[0]!
}

describe('loadDemoData', () => {
  test('loads telemetry into partitions by week, up to the instant, with ids and ingest_xid by default', async () => {
    const figures = await one(
      telemetry,
      `SELECT count(*) > 100000 AS many, count(DISTINCT tableoid)::int AS partitions,
              count(*) FILTER (WHERE tableoid = 'telemetry_events_default'::regclass)::int AS in_default,
              min(recorded_at)::text < '2026-01-01 00:01' AS from_first_day, max(recorded_at) < $1 AS until_today,
              max(recorded_at) > $1::timestamptz - interval '10 minutes' AS up_to_today,
              count(DISTINCT id) = count(*) AS has_ids, count(DISTINCT ingest_xid)::int AS transactions
       FROM telemetry_events`,
      [today],
    )
    expect(figures).toEqual({
      many: true,
      partitions: 9,
      in_default: 0,
      from_first_day: true,
      until_today: true,
      up_to_today: true,
      has_ids: true,
      transactions: 1,
    })
    const indexes = await telemetry.query(
      `SELECT 1 FROM pg_indexes WHERE tablename = 'telemetry_events_20260223_20260301'`,
    )
    expect(indexes.rowCount).toBe(2)
  })

  test('writes values as the generator means them', async () => {
    // Each kind of message has its own columns; all are in range; recorded_at is exact to the millisecond.
    const figures = await one(
      telemetry,
      `SELECT bool_and(CASE signal
                WHEN 'movement' THEN num_nulls(response_time_ms, movement_count, active_ms) = 0 AND error_code IS NULL
                WHEN 'status' THEN num_nulls(response_time_ms, movement_count, active_ms, error_code) = 4
                WHEN 'error' THEN num_nulls(response_time_ms, movement_count, active_ms) = 3 AND error_code ~ '^E\\d{3}$'
                ELSE false END) AS columns_by_signal,
              bool_and(battery_percent BETWEEN 1 AND 100) AS battery,
              bool_and(response_time_ms BETWEEN 8 AND 2000) AS response,
              bool_and(active_ms <= 22 * 60000) AS active,
              bool_and(recorded_at = date_trunc('milliseconds', recorded_at)) AS milliseconds
       FROM telemetry_events`,
    )
    expect(figures).toEqual({
      columns_by_signal: true,
      battery: true,
      response: true,
      active: true,
      milliseconds: true,
    })
  })

  test('looks like limbs in use: quiet nights, a tail of slow responses, batteries that come back', async () => {
    const { rows } = await crm.query(
      `SELECT chip_id FROM prostheses JOIN customers ON customers.id = customer_id
       WHERE customers.id = ANY($1) ORDER BY chip_id`,
      [[demoPeople.alice.customerId, demoPeople.bob.customerId]],
    )
    expect(rows).toHaveLength(3)
    for (const { chip_id } of rows) {
      const figures = await one<Record<string, number>>(
        telemetry,
        `SELECT count(DISTINCT recorded_at::date)::int AS days,
                sum(movement_count) FILTER (WHERE extract(hour FROM recorded_at) BETWEEN 9 AND 17)::int AS by_day,
                coalesce(sum(movement_count) FILTER (WHERE extract(hour FROM recorded_at) < 4), 0)::int AS by_night,
                percentile_cont(0.99) WITHIN GROUP (ORDER BY response_time_ms)
                  / percentile_cont(0.5) WITHIN GROUP (ORDER BY response_time_ms) AS tail,
                min(battery_percent)::int AS lowest, max(battery_percent)::int AS highest
         FROM telemetry_events WHERE chip_id = $1`,
        [chip_id],
      )
      expect(figures.days).toBe(60)
      expect(figures.by_day).toBeGreaterThan(100 * figures.by_night!)
      expect(figures.tail).toBeGreaterThan(1.6)
      expect(figures.lowest).toBeLessThan(60)
      expect(figures.highest).toBeGreaterThanOrEqual(99)
    }
  })

  test('shows the faulty firmware on one model, from its roll-out to its fix', async () => {
    const { chip_id } = await one<{ chip_id: string }>(
      crm,
      'SELECT chip_id FROM prostheses WHERE customer_id = $1 AND model_id = 102',
      [demoPeople.alice.customerId],
    )
    const share = await one<Record<string, number>>(
      telemetry,
      `SELECT avg((error_code IS NOT NULL)::int) FILTER (WHERE recorded_at < $1::timestamptz - interval '41 days')::float AS before,
              avg((error_code IS NOT NULL)::int) FILTER (WHERE recorded_at BETWEEN $1::timestamptz - interval '27 days' AND $1::timestamptz - interval '13 days')::float AS faulty,
              avg((error_code IS NOT NULL)::int) FILTER (WHERE recorded_at > $1::timestamptz - interval '2 days')::float AS fixed
       FROM telemetry_events WHERE chip_id = $2`,
      [today, chip_id],
    )
    expect(share.before).toBeLessThan(0.01)
    expect(share.faulty).toBeGreaterThan(0.02)
    expect(share.fixed).toBeLessThan(0.02)
  })

  test('does nothing the second time', async () => {
    const outcome = await loadDemoData({ crmUrl, telemetryUrl, today: new Date(), log })
    expect(outcome).toEqual({ crm: 'already loaded', telemetry: 'already loaded', telemetryRows: 0 })
  })

  test('starts over after it was killed half way, for the CRM that is there', async () => {
    const urls = { crmUrl: await server.freshDatabase(), telemetryUrl: await server.freshDatabase() }
    const killed = loadDemoData({
      ...urls,
      today,
      volume: { ...volume, days: 4 },
      log,
      onProgress: ({ day }) => {
        if (day === 2) throw new Error('killed')
      },
    })
    await expect(killed).rejects.toThrow('killed')

    // Days later, and with another wish: what was loaded of the CRM decides.
    const outcome = await loadDemoData({ ...urls, today: new Date('2026-03-09T12:00:00Z'), log })
    expect(outcome).toMatchObject({ crm: 'already loaded', telemetry: 'loaded' })
    const { rows } = await (await connect(urls.telemetryUrl)).query(
      'SELECT DISTINCT recorded_at::date::text AS day FROM telemetry_events ORDER BY day',
    )
    expect(rows.map(({ day }) => day)).toEqual(['2026-02-26', '2026-02-27', '2026-02-28', '2026-03-01'])
  })

  test('gives up at once when it is told to, and fills the CRM alone when it is asked for no more', async () => {
    const urls = { crmUrl: await server.freshDatabase(), telemetryUrl: await server.freshDatabase() }
    const stopping = new AbortController()
    const load = loadDemoData({
      ...urls,
      today,
      volume,
      log,
      onProgress: () => stopping.abort(new Error('stopped')),
      signal: stopping.signal,
    })
    await expect(load).rejects.toThrow('stopped')

    const outcome = await loadDemoData({ crmUrl: urls.crmUrl, today, log })
    expect(outcome).toEqual({ crm: 'already loaded', telemetry: 'left alone', telemetryRows: 0 })
    const untouched = await connect(urls.telemetryUrl)
    expect(await one(untouched, `SELECT to_regclass('telemetry_events') AS made`)).toEqual({ made: null })
  })

  test('keeps nothing of a CRM whose load failed on the way', async () => {
    const urls = { crmUrl: await server.freshDatabase(), telemetryUrl: await server.freshDatabase() }
    const client = await connect(urls.crmUrl)
    await applyCrmSchema(client)
    await client.query('ALTER TABLE prostheses ADD CONSTRAINT refuses CHECK (false)')
    const load = () => loadDemoData({ ...urls, today, volume: { ...volume, days: 2 }, log })
    await expect(load()).rejects.toThrow('refuses')
    expect((await one(client, 'SELECT count(*)::int FROM prosthesis_models')).count).toBe(0)

    await client.query('ALTER TABLE prostheses DROP CONSTRAINT refuses')
    expect(await load()).toMatchObject({ crm: 'loaded', telemetry: 'loaded' })
  })

  test('leaves a database alone that holds somebody else’s data', async () => {
    const urls = { crmUrl: await server.freshDatabase(), telemetryUrl: await server.freshDatabase() }
    await loadDemoData({ ...urls, today, volume: { ...volume, days: 2 }, log })
    const client = await connect(urls.crmUrl)
    await client.query('DROP SCHEMA demo CASCADE')
    const outcome = await loadDemoData({ ...urls, today, log })
    expect(outcome).toEqual({ crm: 'foreign', telemetry: 'foreign', telemetryRows: 0 })
    expect((await one(client, 'SELECT count(*)::int FROM customers')).count).toBe(40)
  })
})
