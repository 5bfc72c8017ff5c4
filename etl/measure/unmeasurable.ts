import type { OwnershipInTime } from '../crm/ownership.ts'
import { type ChipRows, createPackedRowReader, wholeRows } from '../telemetry/packed-rows.ts'
import { dayUs, instantText } from '../time/instants.ts'
import type { QuarantinedRow } from './chip-measurer.ts'
import type { Days } from './scope.ts'

/** The day of what has none. */
export const noDay = 0

/** Says of whole rows that have no chip, or a day other than those that are measured, what is wrong with each; of others nothing. */
export type JudgeUnmeasurable = (chipId: string, bytes: Buffer, days: Days) => QuarantinedRow[]

/** A day is that where its owner lives, or by the zone that counts for nobody's. */
export function createUnmeasurableJudge(ownership: OwnershipInTime): JudgeUnmeasurable {
  const reader = createPackedRowReader()

  function dayOf(chipId: string, instantUs: number): number {
    const { zone } = ownership.segmentsOf(chipId).find(({ toUs }) => instantUs < toUs)!
    return zone.dayOf(instantUs)
  }

  function reasonOf(
    chipId: string,
    rows: ChipRows,
    row: number,
    { fromDay, toDay }: Days,
  ): string | undefined {
    if (chipId === '') return 'no_chip'
    const instantUs = rows.instantUs[row]!
    // No calendar has a day for what is far away, and infinite.
    const utcDay = Math.floor(instantUs / dayUs)
    const isNear = utcDay >= fromDay - 1 && utcDay <= toDay + 1
    const day = isNear ? dayOf(chipId, instantUs) : utcDay
    if (day < fromDay) return 'before_first_day'
    if (day <= toDay) return undefined
    return rows.isAhead[row] ? 'clock_ahead' : 'no_day'
  }

  return (chipId, bytes, days) => {
    const rows = reader.read(wholeRows(bytes))
    const judged: QuarantinedRow[] = []
    for (let row = 0; row < rows.count; row++) {
      const reason = reasonOf(chipId, rows, row, days)
      if (!reason) continue
      const recordedAt = instantText(rows.instantUs[row]!)
      const detail = `recorded_at ${recordedAt}`
      judged.push({ chipId, rowId: rows.id[row]!, day: noDay, recordedAt, reason, detail })
    }
    return judged
  }
}
