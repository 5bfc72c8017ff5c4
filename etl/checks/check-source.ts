import type { Extraction } from '../run/extraction.ts'
import type { RunSession } from '../run/run-session.ts'
import type { Since, TelemetryView } from '../telemetry/telemetry.ts'
import { dayUs, hourUs } from '../time/instants.ts'
import { type FailedCheck, failedChecks, freshHours, sourceChecks } from './checks.ts'
import { readRowsByDay } from './rows-by-day.ts'

const freshUs = freshHours * hourUs

/** Rows by day of how many days: of those before the last that is over wherever a patient lives. */
const daysLookedAt = 8

/** What is known before it is known where the patients live. */
type Facts = { hasFreshRows: boolean; rowsByDay: ReadonlyMap<number, number> }

/** @param since from when on rows are new */
export async function readSourceFacts(
  session: Pick<RunSession, 'warehouse' | 'last'>,
  view: TelemetryView,
  since: Since,
): Promise<Facts> {
  const utcToday = Math.floor(measuredUs(session, view) / dayUs)
  const [rowsByDay, hasFreshRows] = await Promise.all([
    // A day begins at most one day before UTC's, or after it.
    readRowsByDay(session.warehouse, { fromDay: utcToday - 1 - daysLookedAt, toDay: utcToday }),
    view.hasRows({ fromUs: view.takenAtUs - freshUs, toUs: view.takenAtUs + hourUs }, since),
  ])
  return { hasFreshRows, rowsByDay }
}

/** The checks on what is known before anything is measured. */
export function checkSource(
  session: Pick<RunSession, 'last'>,
  { crm, changes, view, zones }: Extraction,
  { hasFreshRows, rowsByDay }: Facts,
): FailedCheck[] {
  const measured = measuredUs(session, view)
  const today = Math.min(...zones.map((zone) => zone.dayOf(measured)))
  return failedChecks(sourceChecks, {
    prostheses: crm.prostheses.length,
    prosthesesGone: new Set(changes.gone.map((row) => row.prosthesisId)).size,
    hasFreshRows,
    rowsByDay: Array.from({ length: daysLookedAt }, (_, i) => rowsByDay.get(today - 1 - i) ?? 0),
  })
}

/** What stands was measured by the last run; and a day is complete once it is over wherever a patient lives. */
function measuredUs({ last }: Pick<RunSession, 'last'>, { takenAtUs }: TelemetryView): number {
  return Math.min(takenAtUs, last ? Date.parse(last.started_at) * 1000 : takenAtUs)
}
