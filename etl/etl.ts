import { createHttpApp, type HttpApp } from '@tendon/platform/http-app.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import pg from 'pg'
import { etlErrors } from './errors.ts'
import type { Invalidate } from './invalidations.ts'
import type { EtlConfig } from './options.ts'
import { runEtl, type SkippedRun } from './run.ts'
import type { EtlRun } from './run-records.ts'
import { createSchedule } from './schedule.ts'

export type Etl = {
  /** `/healthz`, `/readyz`, `/metrics`. */
  app: HttpApp
  /** Begins the schedule, and the first run as `config.firstRun` says. A first run that fails is logged. */
  start(): Promise<void>
  /** No further slot; a run under way is ended after the step it is in. */
  stop(): Promise<void>
  /**
   * Runs now, unless a run is going anywhere in the cluster.
   * @throws TENDON-ETL-001, TENDON-ETL-002
   */
  runOnce(): Promise<EtlRun | SkippedRun>
}

/**
 * The job that turns telemetry into `reports.user_prosthesis_stats`.
 * @param options.telemetry address of the telemetry database; connections are made for each run
 * @param options.invalidate tells reports-service whose numbers changed
 */
export function createEtl(options: {
  config: EtlConfig
  warehouse: Warehouse
  telemetry: string
  invalidate: Invalidate
  log: Log
  metrics: Metrics
  now?: () => Date
}): Etl {
  const { config, warehouse, telemetry, invalidate, log, metrics, now = () => new Date() } = options
  const parts = { warehouse, telemetry, workMem: config.workMem, invalidate, log, now }
  const stopping = new AbortController()
  const underWay = new Set<Promise<unknown>>()
  const observe = createRunMetrics(metrics)

  async function runOnce(): Promise<EtlRun | SkippedRun> {
    const running = runEtl(parts, stopping.signal)
    underWay.add(running)
    try {
      const run = await running
      observe(run)
      return run
    } catch (error) {
      observe({ state: 'failed' })
      throw error
    } finally {
      underWay.delete(running)
    }
  }

  /** For runs that nobody waits for. */
  async function runAndLog(reason: string): Promise<void> {
    log.debug({ reason }, 'run begins')
    await runOnce().catch((err: unknown) => log.error({ err }, 'run failed'))
  }

  const schedule = createSchedule(
    config.schedule,
    ({ missed }) => void runAndLog(missed ? 'missed slot' : 'slot'),
    {
      info: (message) => log.debug(message),
      warn: (message) => log.warn(message),
      error: (message) => log.error({ err: message }, 'schedule'),
      debug: () => {},
    },
  )

  return {
    app: createHttpApp({
      log,
      metrics,
      ready: () => Promise.all([warehouse.ping(), pingTelemetry(telemetry)]),
    }),
    async start() {
      schedule.start()
      const firstRun = runAndLog('start')
      if (config.firstRun === 'await') await firstRun
    },
    async stop() {
      await schedule.stop()
      stopping.abort(etlErrors.interrupted('The job was told to stop.'))
      await Promise.allSettled(underWay)
    },
    runOnce,
  }
}

function createRunMetrics(metrics: Metrics): (run: EtlRun | SkippedRun | { state: 'failed' }) => void {
  const runs = metrics.counter('runs_total', 'Runs, by how they ended', ['state'])
  const rowsIn = metrics.counter('rows_in_total', 'Telemetry rows measured')
  const rowsWritten = metrics.counter('rows_written_total', 'Rows written, deleted ones included')
  const steps = metrics.histogram('step_duration_seconds', 'Time of each step of a run', ['step'])
  const lastSuccess = metrics.gauge('last_success_timestamp_seconds', 'End of the last run that succeeded')
  const ownerless = metrics.gauge(
    'ownerless_chips_count',
    'Chips in the last run whose telemetry had no owner',
  )
  return (run) => {
    runs.inc({ state: run.state })
    if (!('run_id' in run)) return
    rowsIn.inc(run.rows_in)
    rowsWritten.inc(run.rows_written + run.rows_deleted)
    for (const [step, ms] of Object.entries(run.step_durations_ms)) steps.observe({ step }, ms / 1000)
    if (run.finished_at) lastSuccess.set(Date.parse(run.finished_at) / 1000)
    ownerless.set(run.unknown_chips.length)
  }
}

async function pingTelemetry(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3_000 })
  await client.connect()
  await client.end()
}
