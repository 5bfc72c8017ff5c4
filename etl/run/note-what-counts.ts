import { keepFirmware } from '../crm/firmware-history.ts'
import { noteOwnershipInUse } from '../crm/standing-ownership.ts'
import type { Extraction } from './extraction.ts'
import { describeRun } from './run-records.ts'
import type { RunSession } from './run-session.ts'

/**
 * Writes down by what a run measures, before it loads anything: source, definition, ownership, firmware. Should it die,
 * what it has loaded stands; and by then the CRM, the options or the source may be as they were before, so that nobody
 * could tell that there is anything to take back.
 */
export async function noteWhatCounts(session: RunSession, { changes, firmware }: Extraction): Promise<void> {
  const { warehouse, record } = session
  await session.assertLock()
  await Promise.all([
    describeRun(warehouse, record),
    noteOwnershipInUse(warehouse, changes, record.run_seq),
    keepFirmware(warehouse, firmware.news, record.run_seq),
  ])
}
