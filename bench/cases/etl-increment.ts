import { createEtl, type Etl } from '@tendon/etl/etl.ts'
import { etlOptions } from '@tendon/etl/options.ts'
import { readConfig } from '@tendon/platform/config.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import type pg from 'pg'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { openPostgres, openWarehouse, readServerVersions } from '../embedded-servers.ts'
import { installPeers, runPython } from '../peers.ts'
import { type Measurement, measured, measuredRepeatedly } from '../results.ts'
import { contenderEnv, forgetRuns, makeCrm, readSql, rowsOfCase, seconds } from './etl-five-million.ts'

/** Days of history, some 56,000 rows each. */
const histories = [90, 360, 1_800]
const repetitions = 7
const newRows = 5_000
const indexes = ['telemetry_events_ingest_xid', 'telemetry_events_chip_id_recorded_at']

export const etlIncrementCase: BenchCase = {
  name: 'etl-increment',
  title: `a run after ${newRows.toLocaleString('en')} new rows, on 5, 20 and 100 million rows of history`,
  timeoutMs: 3_600_000,
  run: measureIncrements,
}

async function measureIncrements(context: BenchContext) {
  const { scope, log, say } = context
  await installPeers(context)
  const [telemetry, { warehouse, engine }] = await Promise.all([
    openPostgres(context, 'telemetry', {
      ...{ wal_level: 'minimal', max_wal_senders: '0', max_wal_size: '8GB', shared_buffers: '512MB' },
      ...{ maintenance_work_mem: '512MB', max_locks_per_transaction: '256' },
    }),
    openWarehouse(context),
  ])
  const client = await scope.connect(telemetry.url)
  await applyTelemetrySchema(client)
  await makeCrm(warehouse)
  const etl = createEtl({
    config: readConfig('etl', etlOptions, { env: {} }),
    warehouse,
    telemetry: telemetry.url,
    invalidate: async () => {},
    log,
    metrics: createMetrics('etl'),
  })
  const env = contenderEnv(telemetry.url, engine)

  const measurements: Measurement[] = []
  const walls: number[][] = []
  let fromDay = 0
  for (const days of histories) {
    say(`making ${days} days of telemetry`)
    await makeHistory(client, { days, fromDay })
    fromDay = days
    const rows = await count(client)
    const size = `${(rows / 1e6).toFixed(0)} million rows`
    await forgetRuns(warehouse)
    const full = await seconds(() => etl.runOnce())
    say(`${size}: full run ${full.toFixed(1)} s`)
    const wall = await repeatIncrement(client, etl, say)
    walls.push(wall)
    const common = await runPython('pandas_sqlalchemy.py', env)
    const today = await runPython('pandas_sqlalchemy.py', {
      ...env,
      BENCH_SINCE: new Date().toISOString().slice(0, 10),
    })
    measurements.push(
      measuredRepeatedly(`${size}: a run after ${newRows} new ones`, wall, 's'),
      measured(`${size}: a run that measures everything`, full, 's'),
      measured(`${size}: pandas + SQLAlchemy over everything, its process`, common.wallSeconds, 's'),
      measured(
        `${size}: pandas + SQLAlchemy over everything, times the run`,
        common.wallSeconds / median(wall),
        '×',
        { atLeast: 50 },
      ),
      measured(`${size}: pandas + SQLAlchemy over today alone, its process`, today.wallSeconds, 's'),
      ...(await indexSizes(client, size)),
    )
  }
  measurements.push(
    ...walls
      .slice(1)
      .map((wall, i) =>
        measured(
          `a run on ${histories[i + 1]} days of history, times that on ${histories[0]}`,
          median(wall) / median(walls[0]!),
          '×',
        ),
      ),
    ...(await writeRates(client)),
  )
  return { measurements, servers: await readServerVersions(client, warehouse) }
}

/** Rows of the days from `fromDay` ago back, and the indexes after them. */
async function makeHistory(
  client: pg.Client,
  { days, fromDay }: { days: number; fromDay: number },
): Promise<void> {
  await client.query(
    "SELECT ensure_telemetry_partitions((now() AT TIME ZONE 'UTC')::date - $1::integer, (now() AT TIME ZONE 'UTC')::date + 1)",
    [days],
  )
  await client.query(`DROP INDEX IF EXISTS ${indexes.join(', ')}`)
  await client.query(await readSql('etl-five-million.sql'), rowsOfCase(days - fromDay, fromDay))
  await applyTelemetrySchema(client)
  await client.query('VACUUM (ANALYZE) telemetry_events')
}

async function repeatIncrement(client: pg.Client, etl: Etl, say: BenchContext['say']): Promise<number[]> {
  const sql = await readSql('etl-new-rows.sql')
  const { rows } = await client.query<{ chip_id: string }>(
    "SELECT DISTINCT chip_id FROM telemetry_events WHERE recorded_at >= date_trunc('day', now(), 'UTC') ORDER BY chip_id",
  )
  const chips = rows.map((row) => row.chip_id)
  const samples: number[] = []
  for (let repetition = 0; repetition < repetitions; repetition++) {
    await client.query(sql, [chips, newRows])
    samples.push(
      await seconds(async () => {
        const run = await etl.runOnce()
        if (run.state !== 'succeeded' || run.mode !== 'increment')
          throw new Error(`The run ended as ${run.state}`)
        say(`${run.rows_in} rows of ${run.pairs} chip days: ${JSON.stringify(run.step_durations_ms)}`)
      }),
    )
  }
  return samples
}

async function count(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>('SELECT count(*) AS count FROM telemetry_events')
  return Number(rows[0]!.count)
}

async function indexSizes(client: pg.Client, size: string): Promise<Measurement[]> {
  const { rows } = await client.query<{ name: string; bytes: string }>(
    `SELECT name, sum(pg_relation_size(relid))::text AS bytes
     FROM unnest($1::text[]) AS name, pg_partition_tree(name::regclass)
     GROUP BY name ORDER BY name`,
    [['telemetry_events', ...indexes]],
  )
  return rows.map(({ name, bytes }) =>
    measured(
      `${size}: ${name === 'telemetry_events' ? 'the table without its indexes' : name}`,
      Number(bytes) / 1e6,
      'MB',
    ),
  )
}

const rowsOfWrite = 300_000

/** How fast rows are written into a table like it, with and without its indexes, 5,000 in a transaction. */
async function writeRates(client: pg.Client): Promise<Measurement[]> {
  const rates: Record<'with' | 'without', number[]> = { with: [], without: [] }
  await client.query(
    'CREATE TABLE source AS SELECT * FROM telemetry_events ORDER BY recorded_at DESC LIMIT 300000',
  )
  for (let repetition = 0; repetition < 3; repetition++) {
    for (const kind of ['without', 'with'] as const) {
      await client.query('CREATE TABLE written (LIKE telemetry_events INCLUDING DEFAULTS)')
      if (kind === 'with') {
        await client.query('CREATE INDEX ON written (ingest_xid)')
        await client.query('CREATE INDEX ON written (chip_id, recorded_at)')
      }
      const took = await seconds(async () => {
        for (let start = 0; start < rowsOfWrite; start += newRows) {
          await client.query(
            `INSERT INTO written (id, chip_id, signal, recorded_at, ingested_at, response_time_ms, battery_percent,
               error_code, movement_count, active_ms)
             SELECT id, chip_id, signal, recorded_at, ingested_at, response_time_ms, battery_percent,
               error_code, movement_count, active_ms
             FROM source WHERE ctid >= $1::tid AND ctid < $2::tid`,
            tidRange(start),
          )
        }
      })
      const { rows } = await client.query<{ count: string }>('SELECT count(*) AS count FROM written')
      rates[kind].push(Number(rows[0]!.count) / took)
      await client.query('DROP TABLE written')
    }
  }
  return [
    measuredRepeatedly(
      'rows written in transactions of some 5,000, without indexes',
      rates.without,
      'rows/s',
    ),
    measuredRepeatedly('rows written in transactions of some 5,000, with both indexes', rates.with, 'rows/s'),
  ]
}

/** Pages that hold some 60 rows each. */
function tidRange(start: number): [string, string] {
  const page = (row: number) => `(${Math.floor(row / 60)},0)`
  return [page(start), page(start + newRows)]
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
