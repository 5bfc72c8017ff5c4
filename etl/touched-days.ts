/** The (chip, day) pairs that a run measures again. */
export type TouchedDays = {
  /** Chips by day (days since 1970-01-01, UTC). */
  chipsByDay: Map<number, Set<string>>
  /** Chips of which every day counts as touched, also days without telemetry: their ownership changed. */
  wholeChips: ReadonlySet<string>
}

/** The pairs of both, and every day of the chips of which `history` has all days. */
export function withWholeChips(
  recent: ReadonlyMap<number, string[]>,
  history: ReadonlyMap<number, string[]>,
  wholeChips: string[],
): TouchedDays {
  const chipsByDay = new Map<number, Set<string>>()
  for (const days of [recent, history]) {
    for (const [day, chips] of days) chipsByDay.set(day, new Set([...(chipsByDay.get(day) ?? []), ...chips]))
  }
  return { chipsByDay, wholeChips: new Set(wholeChips) }
}

export function isTouched(touched: TouchedDays, chipId: string, day: number): boolean {
  return touched.wholeChips.has(chipId) || (touched.chipsByDay.get(day)?.has(chipId) ?? false)
}

export function countPairs(touched: TouchedDays): number {
  return touched.chipsByDay.values().reduce((sum, chips) => sum + chips.size, 0)
}
