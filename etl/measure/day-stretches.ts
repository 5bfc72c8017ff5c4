import type { Ownership, OwnershipInTime } from '../crm/ownership.ts'
import type { ChipRows } from '../telemetry/packed-rows.ts'
import { brokenRule } from './row-rules.ts'

export type DayBounds = {
  /** Rows of days before it are left out. */
  firstDay: number
  /** Days after it may not be complete yet: their rows come back. */
  lastDay: number
  /** Rows of other days are left out too; everything is wanted without it. */
  wants?: (chipId: string, owner: Ownership | undefined, day: number) => boolean
}

/** Rows of one day and owner, of those that were read: [row, end). */
export type Stretch = { row: number; end: number; day: number; owner: Ownership | undefined }

/**
 * Finds the stretches of a chip's rows that are of one day and owner and are to be measured.
 * @param into where they are put: used again for each chip, and longer than they are many
 * @returns how many they are, and the rows of days after the last
 */
export function cutIntoStretches(
  into: Stretch[],
  chipId: string,
  rows: ChipRows,
  ownership: OwnershipInTime,
  { firstDay, lastDay, wants }: DayBounds,
): { count: number; later: number[] } {
  const segments = ownership.segmentsOf(chipId)
  const later: number[] = []
  let count = 0
  let place = 0
  for (let row = 0; row < rows.count; ) {
    const instant = rows.instantUs[row]!
    while (instant >= segments[place]!.toUs) place += 1
    const { zone, owner, toUs } = segments[place]!
    const day = zone.dayOf(instant)
    const endUs = Math.min(toUs, zone.startOf(day + 1))
    let end = row + 1
    while (end < rows.count && rows.instantUs[end]! < endUs) end += 1
    if (day > lastDay) for (let i = row; i < end; i++) later.push(i)
    else if (day >= firstDay && (!wants || wants(chipId, owner, day))) {
      into[count] ??= { row, end, day, owner }
      const stretch = into[count]!
      stretch.row = row
      stretch.end = end
      stretch.day = day
      stretch.owner = owner
      count += 1
    }
    row = end
  }
  return { count, later }
}

/** Times of slim rows that are not sound by themselves, or may be a message that came twice. */
export function findDoubts(rows: ChipRows, stretches: readonly Stretch[], count: number): number[] {
  const found: number[] = []
  for (let i = 0; i < count; i++) {
    const { row: first, end } = stretches[i]!
    for (let row = first; row < end; row++) {
      const instant = rows.instantUs[row]!
      const isTwice = row > first && rows.instantUs[row - 1] === instant
      if (rows.isWhole[row] && !(isTwice && !rows.isWhole[row - 1])) continue
      if ((isTwice || rows.isUnsaid[row] || brokenRule(rows, row)) && found.at(-1) !== instant)
        found.push(instant)
    }
  }
  return found
}
