import type { Metrics } from '@tendon/platform/metrics.ts'
import { quarantineReasons } from '../measure/row-rules.ts'
import type { EtlRun } from './run-records.ts'
import type { SkippedRun } from './run-session.ts'

export type RunMetrics = {
  observeRun(run: EtlRun | SkippedRun | { state: 'failed' }): void
  /** The last run that succeeded, in whatever process: each shows the same, or one that is idle would stay at its own. */
  showLast(run: EtlRun): void
  /** @param counts rows in quarantine, by reason */
  observeQuarantine(counts: readonly { reason: string; rows: number }[]): void
  /** Users whose numbers have changed and whose reports nobody could be told of. */
  observeUndelivered(users: number): void
}

/** Durations in seconds, from an increment to a run that takes its whole slot. */
const durationBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 600, 900, 1800]

/** What is scraped; deploy/alerts/etl.rules.yml goes by these names. */
export function createRunMetrics(metrics: Metrics): RunMetrics {
  const runs = metrics.counter('runs_total', 'Runs, by how they ended', ['state'])
  // A series that begins with its first failure does not show it as an increase.
  for (const state of ['succeeded', 'failed', 'skipped']) runs.inc({ state }, 0)
  const rowsIn = metrics.counter('rows_in_total', 'Telemetry rows measured')
  const rowsWritten = metrics.counter('rows_written_total', 'Rows written, deleted ones included')
  const duration = metrics.histogram('run_duration_seconds', 'Time of a run', [], durationBuckets)
  const steps = metrics.histogram(
    'step_duration_seconds',
    'Time of each step of a run',
    ['step'],
    durationBuckets,
  )
  const lastSuccess = metrics.gauge('last_success_timestamp_seconds', 'End of the last run that succeeded')
  const lastDuration = metrics.gauge('last_run_duration_seconds', 'Time of the last run that succeeded')
  const watermarkLag = metrics.gauge(
    'watermark_lag_seconds',
    'How long an open transaction at the source has kept the watermark from moving',
  )
  const unowned = metrics.gauge('ownerless_chips_count', 'Chips in the last run whose telemetry had no owner')
  const problems = metrics.gauge('problems_count', 'Data problems of the last run, by kind', ['kind'])
  const undelivered = metrics.gauge(
    'undelivered_users_count',
    'Users whose numbers changed and whom reports-service was not told of',
  )
  const quarantine = metrics.gauge('quarantine_rows_count', 'Telemetry rows in quarantine, by reason', [
    'reason',
  ])

  const secondsOf = ({ started_at, finished_at }: EtlRun) =>
    finished_at ? (Date.parse(finished_at) - Date.parse(started_at)) / 1000 : undefined

  return {
    observeRun(run) {
      runs.inc({ state: run.state })
      if (!('run_id' in run)) return
      rowsIn.inc(run.rows_in)
      rowsWritten.inc(run.rows_written + run.rows_deleted)
      for (const [step, ms] of Object.entries(run.step_durations_ms)) steps.observe({ step }, ms / 1000)
      const seconds = secondsOf(run)
      if (seconds !== undefined) duration.observe(seconds)
    },
    showLast(run) {
      const seconds = secondsOf(run)
      if (seconds !== undefined) lastDuration.set(seconds)
      if (run.finished_at) lastSuccess.set(Date.parse(run.finished_at) / 1000)
      unowned.set(run.unknown_chips.length)
      watermarkLag.set(run.watermark_lag_s)
      problems.reset()
      for (const { kind } of run.problems) problems.inc({ kind })
    },
    observeUndelivered: (users) => undelivered.set(users),
    observeQuarantine(counts) {
      quarantine.reset()
      // A reason that appears with its first rows does not show them as growth.
      for (const reason of quarantineReasons) quarantine.set({ reason }, 0)
      for (const { reason, rows } of counts) quarantine.set({ reason }, rows)
    },
  }
}
