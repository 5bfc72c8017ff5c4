import { readFile } from 'node:fs/promises'
import { createReplicaSql, deriveReplica } from '@tendon/cdc/derive/derive-table.ts'
import { registry } from '@tendon/cdc/registry.ts'
import { readSourceTables } from '@tendon/cdc/source/source-catalog.ts'
import { createEtl } from '@tendon/etl/etl.ts'
import { reportTables } from '@tendon/etl/fixtures/etl-world.fixture.ts'
import { etlOptions } from '@tendon/etl/options.ts'
import { readConfig } from '@tendon/platform/config.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { loadDemoData } from '@tendon/sources/load-demo-data.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { openPostgres, openWarehouse, readServerVersions } from '../embedded-servers.ts'
import { ownCpuSeconds, treeCpuSeconds } from '../processes.ts'
import { type Measurement, measured, measuredRepeatedly } from '../results.ts'

const repetitions = 5
const newRows = 5_000
const workMem = '64MB'

export const etlCase: BenchCase = {
  name: 'etl',
  title: 'one ETL run over the demo data, and one after 5,000 new rows',
  timeoutMs: 240_000,
  run: measureEtl,
}

/** Seconds of each part, a sample for each repetition. */
type Samples = Record<'wall' | 'limit' | 'ratio' | 'etlCpu' | 'postgresCpu' | 'engineCpu', number[]>

async function measureEtl(context: BenchContext) {
  const { say, log } = context
  say('starting PostgreSQL and ClickHouse, loading the demo data')
  const [crm, telemetry, { warehouse, engine }] = await Promise.all([
    openPostgres(context, 'crm', {}),
    openPostgres(context, 'telemetry', { wal_level: 'minimal', max_wal_senders: '0' }),
    openWarehouse(context),
  ])
  const { telemetryRows } = await loadDemoData({
    crmUrl: crm.url,
    telemetryUrl: telemetry.url,
    today: new Date(),
    log,
  })
  const crmClient = await context.scope.connect(crm.url)
  const client = await context.scope.connect(telemetry.url)
  await copyProstheses(crmClient, warehouse)
  const chips = await currentChips(crmClient)
  // A planner without statistics, and pages without hint bits, would favour whoever comes second.
  await client.query('VACUUM (ANALYZE) telemetry_events')
  await client.query(`SET work_mem = '${workMem}'`)

  const etl = createEtl({
    config: readConfig('etl', etlOptions, { env: { ETL_WORK_MEM: workMem } }),
    warehouse,
    telemetry: telemetry.url,
    invalidate: async () => {},
    log,
    metrics: createMetrics('etl'),
  })
  const [limitSql, newRowsSql] = await Promise.all([readSql('etl-limit.sql'), readSql('etl-new-rows.sql')])

  async function sample(into: Samples, from: Date): Promise<{ rowsIn: number; rowsWritten: number }> {
    const limitSeconds = await seconds(() => client.query(limitSql, [from]))
    const cpu = { etl: ownCpuSeconds(), ...(await serverCpu()) }
    let run: Awaited<ReturnType<typeof etl.runOnce>> | undefined
    const wallSeconds = await seconds(async () => {
      run = await etl.runOnce()
    })
    const servers = await serverCpu()
    into.limit.push(limitSeconds)
    into.wall.push(wallSeconds)
    into.ratio.push(wallSeconds / limitSeconds)
    into.etlCpu.push(ownCpuSeconds() - cpu.etl)
    into.postgresCpu.push(servers.postgres - cpu.postgres)
    into.engineCpu.push(servers.engine - cpu.engine)
    if (run?.state !== 'succeeded') throw new Error(`The run ended as ${run?.state}.`)
    say(`${run.rows_in} rows in ${wallSeconds.toFixed(2)} s: ${JSON.stringify(run.step_durations_ms)}`)
    return { rowsIn: run.rows_in, rowsWritten: run.rows_written }
  }

  async function serverCpu() {
    const [postgres, engineSeconds] = await Promise.all([
      treeCpuSeconds(telemetry.server.pid),
      treeCpuSeconds(engine.pid()!),
    ])
    return { postgres, engine: engineSeconds }
  }

  const full = emptySamples()
  const incremental = emptySamples()
  let written = 0
  let measuredRows = 0
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    await forgetRuns(warehouse)
    written = (await sample(full, new Date(0))).rowsWritten
    await client.query(newRowsSql, [chips, newRows])
    const run = await sample(incremental, startOfUtcDay(new Date()))
    measuredRows = run.rowsIn
  }

  return {
    measurements: [
      measured('telemetry rows in the demo data', telemetryRows, 'rows'),
      measured('rows of statistics they come to', written, 'rows'),
      ...describe('full run', full),
      ...describe(`run after ${newRows.toLocaleString('en')} new rows`, incremental),
      measured('rows that it measures again (the whole days)', measuredRows, 'rows'),
    ],
    servers: await readServerVersions(client, warehouse),
  }
}

function describe(what: string, samples: Samples): Measurement[] {
  return [
    measuredRepeatedly(what, samples.wall, 's'),
    measuredRepeatedly(`${what}: PostgreSQL's GROUP BY alone`, samples.limit, 's'),
    measuredRepeatedly(`${what}: times that limit`, samples.ratio, '×'),
    measuredRepeatedly(`${what}: CPU of PostgreSQL`, samples.postgresCpu, 'CPU s'),
    measuredRepeatedly(`${what}: CPU of the job`, samples.etlCpu, 'CPU s'),
    measuredRepeatedly(`${what}: CPU of ClickHouse`, samples.engineCpu, 'CPU s'),
  ]
}

function emptySamples(): Samples {
  return { wall: [], limit: [], ratio: [], etlCpu: [], postgresCpu: [], engineCpu: [] }
}

/** What the job reads of the CRM, put into the warehouse without a change feed. */
async function copyProstheses(crm: pg.Client, warehouse: Warehouse): Promise<void> {
  for (const source of await readSourceTables(crm, 'tendon_cdc', [...registry])) {
    await warehouse.command(createReplicaSql(deriveReplica(source)))
  }
  const { rows } = await crm.query<{ row: Record<string, unknown> }>(
    'SELECT to_jsonb(prostheses) AS row FROM prostheses',
  )
  await warehouse.insertRows(
    'crm.prostheses',
    rows.map(({ row }) => ({ ...row, settings: JSON.stringify(row.settings), _version: '1', _deleted: 0 })),
  )
}

async function currentChips(crm: pg.Client): Promise<string[]> {
  const { rows } = await crm.query<{ chip_id: string }>(
    'SELECT chip_id FROM prostheses WHERE returned_at IS NULL ORDER BY chip_id',
  )
  return rows.map((row) => row.chip_id)
}

/** As if the job had never run: its next run measures everything. */
async function forgetRuns(warehouse: Warehouse): Promise<void> {
  for (const table of reportTables) await warehouse.command(`TRUNCATE TABLE ${table}`)
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}

function readSql(name: string): Promise<string> {
  return readFile(new URL(name, import.meta.url), 'utf8')
}

function startOfUtcDay(date: Date): Date {
  return new Date(date.toISOString().slice(0, 10))
}
