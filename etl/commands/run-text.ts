import { counted } from '@tendon/platform/counted.ts'
import type { Problem } from '../crm/ownership.ts'
import { isUntold } from '../invalidate/deliver-kept.ts'
import { unownedKind } from '../load/unowned.ts'
import type { EtlRun } from '../run/run-records.ts'
import type { SkippedRun } from '../run/run-session.ts'

const mostProblems = 3

export const untoldText = 'reports-service could not be told whose numbers changed: the next run does it'

export const describeProblem = ({ kind, subject, detail }: Problem): string =>
  `problem  ${kind}  ${subject}  ${detail}`

/** A run in one line, and what went wrong in others. */
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
  ].join(', ')
  const startedAt = Date.parse(run.started_at)
  const took = run.finished_at ? ` in ${((Date.parse(run.finished_at) - startedAt) / 1000).toFixed(1)} s` : ''
  const error = run.error ? `\n    ${run.error}` : ''
  // Those of a chip without an owner are counted in the line: one each.
  const problems = run.problems.filter(
    ({ kind }) => kind !== unownedKind(true) && kind !== unownedKind(false),
  )
  const left = problems.length - mostProblems
  const told = problems.slice(0, mostProblems).map((problem) => `\n    ${describeProblem(problem)}`)
  if (left > 0) told.push(`\n    ${counted(left, 'more problem')}: see --json`)
  const untold = isUntold(run) ? `\n    ${untoldText}` : ''
  return `${run.run_seq}  ${new Date(startedAt).toISOString()}  ${run.state}${took}  ${part}${counts}${told.join('')}${untold}${error}\n`
}
