import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import type pg from 'pg'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { openPostgres, openWarehouse, readServerVersions } from '../embedded-servers.ts'
import { installPeers, type ProcessReport, runJob, runPython } from '../peers.ts'
import { treeCpuSeconds, watchMemory } from '../processes.ts'
import { type Measurement, measured, measuredRepeatedly } from '../results.ts'
import { contenderEnv, forgetRuns, makeCrm, readSql, rowsOfCase, seconds } from './etl-five-million.ts'

const days = 90
const mostRepetitions = 3
/** Another repetition begins only if one as long as the last is over by then. */
const comparingSeconds = 190

export const etlPeersCase: BenchCase = {
  name: 'etl-peers',
  title: 'one whole ETL run over 5,000,000 rows beside the same by pandas, DuckDB and Polars, each a process',
  timeoutMs: 420_000,
  run: comparePeers,
}

type Contender = {
  name: string
  run(env: Record<string, string>): Promise<ProcessReport>
  samples: Samples
}

/** Times in seconds and memory in MB, a sample for each repetition. */
type Samples = Record<
  'wall' | 'cpu' | 'ownCpu' | 'postgresCpu' | 'engineCpu' | 'memory' | 'postgresMemory' | 'engineMemory',
  number[]
>

function noSamples(): Samples {
  return {
    ...{ wall: [], cpu: [], ownCpu: [], postgresCpu: [], engineCpu: [] },
    ...{ memory: [], postgresMemory: [], engineMemory: [] },
  }
}

const contender = (name: string, run: Contender['run']): Contender => ({
  name,
  run,
  samples: noSamples(),
})

async function comparePeers(context: BenchContext) {
  const { say, scope } = context
  await installPeers(context)
  say('starting PostgreSQL and ClickHouse, making the telemetry')
  const [telemetry, { warehouse, engine }] = await Promise.all([
    openPostgres(context, 'telemetry', {
      ...{ wal_level: 'minimal', max_wal_senders: '0', max_wal_size: '4GB', shared_buffers: '512MB' },
    }),
    openWarehouse(context),
  ])
  const client = await scope.connect(telemetry.url)
  await makeTelemetry(client)
  await makeCrm(warehouse)
  const rows = Number((await client.query('SELECT count(*) AS count FROM telemetry_events')).rows[0].count)

  const job = contender('the job', runJob)
  const common = contender('pandas + SQLAlchemy', (env) => runPython('pandas_sqlalchemy.py', env))
  const tuned = contender('pandas + SQLAlchemy, work_mem 256MB', (env) =>
    runPython('pandas_sqlalchemy.py', { ...env, BENCH_WORK_MEM: '256MB' }),
  )
  const duckdb = contender('DuckDB over ADBC', (env) => runPython('duckdb_adbc.py', env))
  const polars = contender('Polars over connectorx', (env) => runPython('polars_connectorx.py', env))
  const contenders = [job, common, tuned, duckdb, polars]
  const limits = { common: [] as number[], tuned: [] as number[] }
  const env = contenderEnv(telemetry.url, engine)
  const servers = { postgres: telemetry.server.pid, engine: engine.pid()! }
  const limitSql = await readSql('etl-limit.sql')

  let statsRows = 0
  const startedAt = performance.now()
  const elapsed = () => (performance.now() - startedAt) / 1000
  for (let repetition = 1; repetition <= mostRepetitions; repetition++) {
    for (const [name, workMem] of [
      ['common', '4MB'],
      ['tuned', '256MB'],
    ] as const) {
      await client.query(`SET work_mem = '${workMem}'`)
      limits[name].push(await seconds(() => client.query(limitSql, [new Date(0)])))
    }
    for (const { name, run, samples } of contenders) {
      await forgetRuns(warehouse)
      const report = await sample(samples, servers, () => run(env))
      say(`${name}: ${JSON.stringify(report)}`)
      if (statsRows > 0 && report.rows !== statsRows) throw new Error(`${name} wrote ${report.rows} rows`)
      statsRows = report.rows
    }
    if ((elapsed() / repetition) * (repetition + 1) > comparingSeconds) break
  }

  const ratios =
    (of: number[], to: number[], target = {}) =>
    (what: string) =>
      measuredRepeatedly(
        what,
        of.map((value, i) => value / to[i]!),
        '×',
        target,
      )
  return {
    measurements: [
      measured('telemetry rows', rows, 'rows'),
      measured('rows of statistics', statsRows, 'rows'),
      ...contenders.flatMap(describe),
      measuredRepeatedly('GROUP BY alone, default work_mem', limits.common, 's'),
      measuredRepeatedly('GROUP BY alone, work_mem 256MB', limits.tuned, 's'),
      ratios(common.samples.wall, job.samples.wall, { atLeast: 3 })(
        'the job is faster than pandas + SQLAlchemy',
      ),
      ratios(common.samples.cpu, job.samples.cpu)('pandas + SQLAlchemy: CPU, times that of the job'),
      ratios(job.samples.wall, limits.tuned, { atMost: 1.4 })('the job takes, of the tuned GROUP BY'),
      ...[tuned, duckdb, polars].flatMap((peer) => [
        ratios(peer.samples.wall, job.samples.wall, { atLeast: 1 })(`the job is faster than ${peer.name}`),
        ratios(peer.samples.cpu, job.samples.cpu)(`${peer.name}: CPU, times that of the job`),
      ]),
      measuredRepeatedly('the job: memory', job.samples.memory, 'MB', { atMost: 300 }),
    ],
    servers: await readServerVersions(client, warehouse),
  }
}

/** Runs a contender, and notes what it and what it asks of the servers cost. */
async function sample(
  into: Samples,
  servers: { postgres: number; engine: number },
  run: () => Promise<ProcessReport>,
): Promise<ProcessReport> {
  const before = await cpuOf(servers)
  const memory = { postgres: watchMemory(servers.postgres), engine: watchMemory(servers.engine) }
  const report = await run()
  into.postgresMemory.push(memory.postgres.stop() / 1e6)
  into.engineMemory.push(memory.engine.stop() / 1e6)
  const after = await cpuOf(servers)
  const [postgresCpu, engineCpu] = [after.postgres - before.postgres, after.engine - before.engine]
  into.wall.push(report.wallSeconds)
  into.cpu.push(report.cpu_seconds + postgresCpu + engineCpu)
  into.ownCpu.push(report.cpu_seconds)
  into.postgresCpu.push(postgresCpu)
  into.engineCpu.push(engineCpu)
  into.memory.push(report.max_rss_mb)
  return report
}

async function cpuOf(servers: { postgres: number; engine: number }) {
  const [postgres, engine] = await Promise.all([
    treeCpuSeconds(servers.postgres),
    treeCpuSeconds(servers.engine),
  ])
  return { postgres, engine }
}

function describe({ name, samples }: Contender): Measurement[] {
  return [
    measuredRepeatedly(`${name}: whole process`, samples.wall, 's'),
    measuredRepeatedly(`${name}: CPU of it and both servers`, samples.cpu, 'CPU s'),
    measuredRepeatedly(`${name}: CPU of the process`, samples.ownCpu, 'CPU s'),
    measuredRepeatedly(`${name}: CPU of PostgreSQL`, samples.postgresCpu, 'CPU s'),
    measuredRepeatedly(`${name}: CPU of ClickHouse`, samples.engineCpu, 'CPU s'),
    measuredRepeatedly(`${name}: largest memory of the process`, samples.memory, 'MB'),
    measuredRepeatedly(
      `${name}: largest memory of PostgreSQL, but for its buffers`,
      samples.postgresMemory,
      'MB',
    ),
    measuredRepeatedly(`${name}: largest memory of ClickHouse`, samples.engineMemory, 'MB'),
  ]
}

async function makeTelemetry(client: pg.Client): Promise<void> {
  await applyTelemetrySchema(client)
  await client.query(
    "SELECT ensure_telemetry_partitions((now() AT TIME ZONE 'UTC')::date - $1::integer, (now() AT TIME ZONE 'UTC')::date + 1)",
    [days],
  )
  await client.query(await readSql('etl-five-million.sql'), rowsOfCase(days, 0))
  await client.query('VACUUM (ANALYZE) telemetry_events')
}
