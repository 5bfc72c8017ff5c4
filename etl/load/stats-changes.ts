import { metrics } from '../measure/metrics.ts'
import { takeUserDays, type UserDays } from '../measure/user-days.ts'

export type StatsChanges = {
  /** Computed rows that do not stand yet, or stand with another value. */
  changed: UserDays
  /** Standing rows that nothing computed stands for any more. */
  vanished: UserDays
  /** Standing rows that change their model: where it is part of the key, they would stay. */
  remodelled: UserDays
  /** Computed rows that stand as they are. */
  unchanged: UserDays
  /** Whose numbers change by this, sorted, each once. */
  userIds: string[]
}

/**
 * Compares what was computed within a scope with what stands within it. Numbers are equal when they are the same
 * bits: there is no tolerance, since a day that did not change is measured to the same bits.
 */
export function compareStats(computed: UserDays, standing: UserDays): StatsChanges {
  const changedRows: number[] = []
  const unchangedRows: number[] = []
  const remodelledRows: number[] = []
  const standingRows = indexRows(standing)
  let days: Map<number, number> | undefined
  for (let row = 0; row < computed.length; row++) {
    // The days of a prosthesis come one after the other.
    if (row === 0 || !isSameOwner(computed, row - 1, row)) days = standingRows.get(ownerKey(computed, row))
    const standingRow = days?.get(computed.day[row]!)
    if (standingRow !== undefined && isSameRow(computed, row, standing, standingRow)) unchangedRows.push(row)
    else changedRows.push(row)
    if (standingRow !== undefined && standing.modelId[standingRow] !== computed.modelId[row]) {
      remodelledRows.push(standingRow)
    }
    days?.delete(computed.day[row]!)
  }
  const vanishedRows = [...standingRows.values()].flatMap((days) => [...days.values()]).sort((a, b) => a - b)

  const changed = takeUserDays(computed, changedRows)
  const vanished = takeUserDays(standing, vanishedRows)
  return {
    changed,
    vanished,
    remodelled: takeUserDays(standing, remodelledRows),
    unchanged: takeUserDays(computed, unchangedRows),
    userIds: [...new Set([...changed.userId, ...vanished.userId])].sort(),
  }
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

function isSameOwner({ userId, prosthesisId }: UserDays, a: number, b: number): boolean {
  return userId[a] === userId[b] && prosthesisId[a] === prosthesisId[b]
}

function isSameRow(a: UserDays, rowA: number, b: UserDays, rowB: number): boolean {
  return (
    a.chipId[rowA] === b.chipId[rowB] &&
    a.modelId[rowA] === b.modelId[rowB] &&
    a.firmwareVersion[rowA] === b.firmwareVersion[rowB] &&
    metrics.every(({ name }) => Object.is(a.metrics[name][rowA], b.metrics[name][rowB]))
  )
}
