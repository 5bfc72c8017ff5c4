import { type FailedCheck, failedChecks, freshHours, sourceChecks } from './checks.ts'
import type { Extraction } from './extraction.ts'
import { hourUs } from './instants.ts'
import { readRowsByDay } from './rows-by-day.ts'
import type { RunSession } from './run-session.ts'

const freshUs = freshHours * hourUs

/** The checks on what is known before anything is measured. */
export async function checkSource(
  { warehouse }: RunSession,
  { crm, changes, view, defaultZone }: Extraction,
): Promise<FailedCheck[]> {
  const today = defaultZone.dayOf(view.takenAtUs)
  const [rowsByDay, fresh] = await Promise.all([
    readRowsByDay(warehouse, { fromDay: today - 8, toDay: today - 1 }),
    view.hasRows({ fromUs: view.takenAtUs - freshUs, toUs: view.takenAtUs + hourUs }),
  ])
  return failedChecks(sourceChecks, {
    prostheses: crm.prostheses.length,
    prosthesesGone: new Set(changes.gone.map((row) => row.prosthesisId)).size,
    hasFreshRows: fresh,
    rowsByDay,
  })
}
