import { measureNames } from './measures.ts'
import { takeUserDays, type UserDays } from './user-days.ts'

export type StatsChanges = {
  /** Computed rows that do not stand yet, or stand with another value. */
  changed: UserDays
  /** Standing rows that nothing computed stands for any more. */
  vanished: UserDays
  /** Whose numbers change by this, sorted, each once. */
  userIds: string[]
}

/**
 * Compares what was computed for some (chip, day) pairs with what stands for the same pairs. Numbers are equal
 * when they are the same bits: there is no tolerance, since a day that did not change is measured to the same bits.
 */
export function compareStats(computed: UserDays, standing: UserDays): StatsChanges {
  const standingRows = indexRows(standing)
  const changedRows: number[] = []
  for (let row = 0; row < computed.length; row++) {
    const owner = ownerKey(computed, row)
    const standingRow = standingRows.get(owner)?.get(computed.day[row]!)
    if (standingRow === undefined || !isSameRow(computed, row, standing, standingRow)) changedRows.push(row)
    standingRows.get(owner)?.delete(computed.day[row]!)
  }
  const vanishedRows = [...standingRows.values()].flatMap((days) => [...days.values()])

  const changed = takeUserDays(computed, changedRows)
  const vanished = takeUserDays(standing, vanishedRows)
  return { changed, vanished, userIds: [...new Set([...changed.userId, ...vanished.userId])].sort() }
}

/** Row numbers by user and prosthesis, and then by day: the sorting key of the table. */
function indexRows(rows: UserDays): Map<string, Map<number, number>> {
  const index = new Map<string, Map<number, number>>()
  for (let row = 0; row < rows.length; row++) {
    const owner = ownerKey(rows, row)
    const days = index.get(owner)
    if (days) days.set(rows.day[row]!, row)
    else index.set(owner, new Map([[rows.day[row]!, row]]))
  }
  return index
}

function ownerKey(rows: UserDays, row: number): string {
  return `${rows.userId[row]} ${rows.prosthesisId[row]}`
}

function isSameRow(a: UserDays, rowA: number, b: UserDays, rowB: number): boolean {
  return (
    a.chipId[rowA] === b.chipId[rowB] &&
    a.modelId[rowA] === b.modelId[rowB] &&
    measureNames.every((name) => Object.is(a.measures[name][rowA], b.measures[name][rowB]))
  )
}
