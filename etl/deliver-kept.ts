import { etlErrors } from './errors.ts'
import { deliverInvalidations } from './invalidations.ts'
import { noteProblems } from './load-batch.ts'
import type { EtlRun } from './run-records.ts'
import type { RunSession } from './run-session.ts'

/** A failure is no failure of the run: the list is kept, and the next run begins with it. */
export async function deliverKept(session: RunSession): Promise<void> {
  const { warehouse, invalidate, signal, log, record } = session
  try {
    await deliverInvalidations(warehouse, invalidate, signal, (users) => {
      record.users_invalidated += users
      log.info({ users }, 'users invalidated')
    })
  } catch (cause) {
    signal.throwIfAborted()
    const err = etlErrors.invalidationFailed(
      'The users whose numbers changed are invalidated by the next run.',
      { cause },
    )
    log.error({ err }, 'invalidation failed')
    noteProblems(session, [{ kind: err.code, subject: 'POST /invalidate', detail: err.message }])
  }
}

/** Whether a run has left users to the next one, whose reports are still as before. */
export const isUntold = ({ problems }: Pick<EtlRun, 'problems'>): boolean =>
  problems.some(({ kind }) => kind === etlErrors.invalidationFailed.code)
