import { counted } from '@tendon/platform/counted.ts'
import { isUntold } from '../deliver-kept.ts'
import type { EtlRun } from '../run-records.ts'
import type { SkippedRun } from '../run-session.ts'

export const untoldText = 'reports-service could not be told whose numbers changed: the next run does it'

/** A run in one line, and its failure in another. */
export function describeRun(run: EtlRun | SkippedRun): string {
  if (run.state === 'skipped') return 'skipped: another run is going\n'
  const part = run.kind === 'backfill' ? `backfill ${run.from_day} to ${run.to_day}, ` : ''
  const counts = [
    `${counted(run.pairs, 'day')} measured of ${counted(run.rows_in, 'row')}`,
    `${counted(run.rows_written, 'row')} written`,
    `${run.rows_deleted} deleted`,
    `${counted(run.users_changed, 'user')} changed`,
    ...(run.rows_quarantined > 0 ? [`${counted(run.rows_quarantined, 'row')} in quarantine`] : []),
    ...(run.unknown_chips.length > 0
      ? [`${counted(run.unknown_chips.length, 'chip')} without an owner`]
      : []),
    ...(run.problems.length > 0 ? [counted(run.problems.length, 'data problem')] : []),
  ].join(', ')
  const startedAt = Date.parse(run.started_at)
  const took = run.finished_at ? ` in ${((Date.parse(run.finished_at) - startedAt) / 1000).toFixed(1)} s` : ''
  const error = run.error ? `\n    ${run.error}` : ''
  const untold = isUntold(run) ? `\n    ${untoldText}` : ''
  return `${run.run_seq}  ${new Date(startedAt).toISOString()}  ${run.state}${took}  ${part}${counts}${untold}${error}\n`
}
