import { asProblem, batchChecks, type FailedCheck, failedChecks } from '../checks/checks.ts'
import type { Problem } from '../crm/ownership.ts'
import { etlErrors } from '../errors.ts'
import { keepInvalidations } from '../invalidate/invalidations.ts'
import type { MeasuredBatch } from '../measure/telemetry-batches.ts'
import type { UserDays } from '../measure/user-days.ts'
import type { RunSession } from '../run/run-session.ts'
import { loadRemodelled, loadStats } from './load-stats.ts'
import type { Mark } from './mark.ts'
import { writeQuarantine } from './quarantine.ts'
import { readStanding, type Standing } from './standing.ts'
import { compareStats } from './stats-changes.ts'
import { countRows, describeUnowned, unownedKind, writeUnowned } from './unowned.ts'

const mostProblems = 1_000

/** Measured telemetry, and what stands in its scope, where that was read already. */
export type Batch = MeasuredBatch & { standing?: Standing }

/** Whom a run has named, each of them once. (To search the record's list took 33 CPU s of 100,000 chips.) */
export type Named = { users: Set<string>; ownerlessChips: Set<string> }

/** Compares a batch with what stands and writes what differs; what it finds goes into the run's record. */
export async function loadBatch(
  session: RunSession,
  batch: Batch,
  mark: Mark,
  { users, ownerlessChips }: Named,
): Promise<void> {
  const { warehouse, record, step, sizes } = session
  const { scope, userDays, quarantined, unowned, rowsIn } = batch
  const { changes, standing } = await step('compare', async () => {
    const { stats, ...others } = batch.standing ?? (await readStanding(warehouse, scope))
    const compared = compareStats(userDays, stats)
    session.inspect?.(compared, stats)
    return { changes: compared, standing: others }
  })
  passChecks(session, failedChecks(batchChecks, userDays))
  await step('load', async () => {
    await session.assertLock()
    await keepInvalidations(
      warehouse,
      mark.version,
      changes.userIds.filter((user) => !users.has(user)),
    )
    await loadRemodelled(warehouse, changes.remodelled, sizes.rowsOfInsert, mark.version)
    const load = (rows: UserDays, deleted: boolean) =>
      loadStats(warehouse, rows, sizes.rowsOfInsert, { version: mark.version, deleted })
    await load(changes.changed, false)
    if (mark.rewrite) await load(changes.unchanged, false)
    await load(changes.vanished, true)
    await writeQuarantine(warehouse, quarantined, standing.quarantine, mark)
    await writeUnowned(warehouse, unowned, standing.unowned, mark)
  })
  for (const user of changes.userIds) users.add(user)
  record.users_changed = users.size
  record.pairs +=
    userDays.length + [...unowned.values()].reduce((sum, { rowsOfDay }) => sum + rowsOfDay.size, 0)
  record.rows_in += rowsIn
  record.rows_quarantined += quarantined.length
  record.rows_written += changes.changed.length
  record.rows_deleted += changes.vanished.length
  // Also of those that were written again, the numbers stand as they were.
  record.rows_unchanged += changes.unchanged.length
  for (const [chipId, chip] of unowned) {
    record.rows_unowned += countRows(chip)
    if (!ownerlessChips.has(chipId)) record.unknown_chips.push(chipId)
    ownerlessChips.add(chipId)
    const kind = unownedKind(chip.isKnown)
    noteProblems(session, [{ kind, subject: chipId, detail: describeUnowned(chip) }])
  }
}

/** Notes failed checks; one that blocks fails the run, unless it was told to accept that. */
export function passChecks(session: RunSession, failed: readonly FailedCheck[]): void {
  noteProblems(session, failed.map(asProblem))
  const blocking = failed.filter(({ severity }) => severity === 'block')
  if (blocking.length === 0) return
  const details = blocking.map(({ check, detail }) => `${check}: ${detail}`).join('; ')
  if (session.acceptChecks) session.log.warn({ details }, 'failed checks were accepted')
  else throw etlErrors.checkFailed(details)
}

/** A record holds so many; the log has all. */
export function noteProblems({ record, log }: RunSession, problems: readonly Problem[]): void {
  for (const problem of problems) {
    log.warn(problem, 'data problem')
    if (record.problems.length < mostProblems) record.problems.push(problem)
  }
}
