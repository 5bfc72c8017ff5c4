import { createHttpApp, type HttpApp } from '@tendon/platform/http-app.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import pg from 'pg'
import type { ReadCrm } from './crm/crm.ts'
import { createWarehouseCrm } from './crm/crm-warehouse.ts'
import { etlErrors } from './errors.ts'
import { untoldFrom } from './invalidate/deliver-kept.ts'
import { countUndelivered, type Invalidate } from './invalidate/invalidations.ts'
import { countQuarantine } from './load/quarantine.ts'
import type { EtlConfig } from './options.ts'
import { type BackfillRequest, type BackfillResult, backfill } from './run/backfill.ts'
import type { BackfillProgress } from './run/backfill-progress.ts'
import { type BatchSizes, batchSizes } from './run/batch-sizes.ts'
import { runEtl } from './run/run.ts'
import { createRunMetrics } from './run/run-metrics.ts'
import { type EtlRun, findLastSuccess } from './run/run-records.ts'
import type { RunParts, SkippedRun } from './run/run-session.ts'
import { createSchedule } from './run/schedule.ts'

export type Etl = {
  /** `/healthz`, `/readyz`, `/metrics`. */
  app: HttpApp
  /** Begins the schedule, and the first run as `config.firstRun` says. A first run that fails is logged. */
  start(): Promise<void>
  /** No further slot; a run under way is ended after the step it is in. */
  stop(): Promise<void>
  /**
   * Runs now, unless a run is going anywhere in the cluster.
   * @throws TENDON-ETL-001, TENDON-ETL-002, TENDON-ETL-005
   */
  runOnce(options?: { acceptChecks?: boolean }): Promise<EtlRun | SkippedRun>
  /**
   * Measures days again.
   * @throws TENDON-ETL-001, TENDON-ETL-002, TENDON-ETL-005, TENDON-ETL-010, TENDON-ETL-011
   */
  backfill(
    request: BackfillRequest,
    onProgress?: (progress: BackfillProgress) => void,
  ): Promise<BackfillResult>
}

/**
 * The job that turns telemetry into `reports.user_prosthesis_stats`.
 * @param options.telemetry address of the telemetry database; connections are made for each run
 * @param options.readCrm where the CRM is read; the replicas in the warehouse without it
 * @param options.invalidate tells reports-service whose numbers changed
 */
export function createEtl(options: {
  config: EtlConfig
  warehouse: Warehouse
  telemetry: string
  readCrm?: ReadCrm
  invalidate: Invalidate
  log: Log
  metrics: Metrics
  now?: () => Date
  sizes?: BatchSizes
}): Etl {
  const {
    config,
    warehouse,
    telemetry,
    invalidate,
    log,
    metrics,
    now = () => new Date(),
    sizes = batchSizes,
  } = options
  const { readCrm = createWarehouseCrm(warehouse) } = options
  const parts: RunParts = { config, warehouse, telemetry, readCrm, invalidate, log, now, sizes }
  const stopping = new AbortController()
  const underWay = new Set<Promise<unknown>>()
  const runMetrics = createRunMetrics(metrics)

  async function runOnce({ acceptChecks = false } = {}): Promise<EtlRun | SkippedRun> {
    const running = runEtl(parts, stopping.signal, { acceptChecks })
    underWay.add(running)
    try {
      const run = await running
      runMetrics.observeRun(run)
      await showLatest(run.state === 'succeeded' ? run : undefined)
      return run
    } catch (error) {
      runMetrics.observeRun({ state: 'failed' })
      await showLatest()
      throw error
    } finally {
      underWay.delete(running)
    }
  }

  /** What stands, whoever has written it: this process may have been the idle one, or was not there yet. */
  async function showLatest(justEnded?: EtlRun): Promise<void> {
    try {
      const last = justEnded ?? (await findLastSuccess(warehouse))
      const [quarantined, undelivered] = await Promise.all([
        countQuarantine(warehouse),
        countUndelivered(warehouse, untoldFrom(last)),
      ])
      if (last) runMetrics.showLast(last)
      runMetrics.observeQuarantine(quarantined)
      runMetrics.observeUndelivered(undelivered)
    } catch (err) {
      log.warn({ err }, 'what stands is not known: its metrics are those of before')
    }
  }

  /** For runs that nobody waits for: one that fails has said so in the log. */
  async function runUnattended(reason: string): Promise<void> {
    log.debug({ reason }, 'run begins')
    await runOnce().catch(() => {})
  }

  const schedule = createSchedule(
    config.schedule,
    ({ missed }) => void runUnattended(missed ? 'missed slot' : 'slot'),
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
      await showLatest()
      const firstRun = runUnattended('start')
      if (config.firstRun === 'await') await firstRun
    },
    async stop() {
      await schedule.stop()
      stopping.abort(etlErrors.interrupted('The job was told to stop.'))
      await Promise.allSettled(underWay)
    },
    runOnce,
    backfill: (request, onProgress = () => {}) => backfill(parts, request, stopping.signal, onProgress),
  }
}

async function pingTelemetry(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 3_000 })
  await client.connect()
  await client.end()
}
