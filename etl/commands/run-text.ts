import type { EtlRun } from '../run-records.ts'
import type { SkippedRun } from '../run-session.ts'

/** A run in one line, and its failure in another. */
export function describeRun(run: EtlRun | SkippedRun): string {
  if (run.state === 'skipped') return 'skipped: another run is going\n'
  const part = run.kind === 'backfill' ? `backfill ${run.from_day} to ${run.to_day}, ` : ''
  const counts = [
    `${run.pairs} days measured of ${run.rows_in} rows`,
    `${run.rows_written} rows written`,
    `${run.rows_deleted} deleted`,
    `${run.users_changed} users changed`,
    ...(run.rows_quarantined > 0 ? [`${run.rows_quarantined} rows in quarantine`] : []),
    ...(run.unknown_chips.length > 0 ? [`${run.unknown_chips.length} chips without an owner`] : []),
    ...(run.problems.length > 0 ? [`${run.problems.length} data problems`] : []),
  ].join(', ')
  const error = run.error ? `\n    ${run.error}` : ''
  return `${run.run_seq}  ${run.started_at}  ${run.state}  ${part}${counts}${error}\n`
}
