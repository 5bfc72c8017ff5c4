/** The (chip, day) pairs that a run measures again. */
export type TouchedDays = {
  /** Chips by day (days since 1970-01-01, UTC). */
  chipsByDay: Map<number, Set<string>>
  /** Chips of which every day counts as touched, also days without telemetry: their ownership changed. */
  wholeChips: ReadonlySet<string>
}

export function isTouched(touched: TouchedDays, chipId: string, day: number): boolean {
  return touched.wholeChips.has(chipId) || (touched.chipsByDay.get(day)?.has(chipId) ?? false)
}

export function countPairs(touched: TouchedDays): number {
  return touched.chipsByDay.values().reduce((sum, chips) => sum + chips.size, 0)
}
