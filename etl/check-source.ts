import { type FailedCheck, failedChecks, freshHours, sourceChecks } from './checks.ts'
import type { Extraction } from './extraction.ts'
import { hourUs } from './instants.ts'
import { readRowsByDay } from './rows-by-day.ts'
import type { RunSession } from './run-session.ts'

const freshUs = freshHours * hourUs

/** The checks on what is known before anything is measured. */
export async function checkSource(
  { warehouse, last }: RunSession,
  { crm, changes, view, zones }: Extraction,
): Promise<FailedCheck[]> {
  // What stands was measured by the last run; and a day is complete once it is over wherever a patient lives.
  const measuredUs = Math.min(view.takenAtUs, last ? Date.parse(last.started_at) * 1000 : view.takenAtUs)
  const today = Math.min(...zones.map((zone) => zone.dayOf(measuredUs)))
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
