import { etlErrors } from '../errors.ts'
import type { EtlRun } from '../run/run-records.ts'
import type { RunSession } from '../run/run-session.ts'
import { deliverInvalidations, readUndelivered, type Undelivered } from './invalidations.ts'

/**
 * A failure is no failure of the run: the list is kept, and the next run begins with it.
 * @param known all that is kept and not delivered, when that is known
 * @returns whether everything was delivered
 */
export async function deliverKept(session: RunSession, known?: readonly Undelivered[]): Promise<boolean> {
  const { warehouse, invalidate, signal, log, record, last } = session
  try {
    const users = known ?? (await readUndelivered(warehouse, untoldFrom(last)))
    await deliverInvalidations(warehouse, users, invalidate, signal, (users) => {
      record.users_invalidated += users
      log.info({ users }, 'users invalidated')
    })
    return true
  } catch (cause) {
    signal.throwIfAborted()
    const err = etlErrors.invalidationFailed(
      'The users whose numbers changed are invalidated by the next run.',
      { cause },
    )
    log.error({ err }, 'invalidation failed')
    // Also in a record that is full of problems: the next run goes by it.
    record.problems.push({ kind: err.code, subject: 'POST /invalidate', detail: err.message })
    return false
  }
}

/** The first run whose users may not be told yet. @param last the last run that succeeded */
export const untoldFrom = (last: EtlRun | undefined): number =>
  last && !isUntold(last) ? last.run_seq + 1 : 0

/** Whether a run has left users to the next one, whose reports are still as before. */
export const isUntold = ({ problems }: Pick<EtlRun, 'problems'>): boolean =>
  problems.some(({ kind }) => kind === etlErrors.invalidationFailed.code)
