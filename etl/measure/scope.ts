/** Days, both included. */
export type Days = { fromDay: number; toDay: number }

/**
 * What a batch has measured whole, and may therefore take back: whatever stands within it and was not measured again
 * has vanished at the source.
 */
export type Scope = {
  fromDay: number
  toDay: number
  /** Undefined: all days in between. */
  days: readonly number[] | undefined
  /** Owners, also former ones, of all that is in it, and their prostheses; undefined: everybody's. */
  owners: { userIds: readonly string[]; prosthesisIds: readonly string[] } | undefined
  /** Undefined: all chips. */
  chipIds: readonly string[] | undefined
  includes(prosthesisId: string, day: number): boolean
  includesChip(chipId: string, day: number): boolean
}

/** Every prosthesis on these days, both included. */
export function scopeOfDays(fromDay: number, toDay: number): Scope {
  const within = (_: string, day: number) => day >= fromDay && day <= toDay
  return {
    fromDay,
    toDay,
    days: undefined,
    owners: undefined,
    chipIds: undefined,
    includes: within,
    includesChip: within,
  }
}

/** Days of some prostheses, and of some chips: `daysOf` gives what is in it of each, undefined being every day. */
export type ScopeParts = {
  userIds: ReadonlySet<string>
  daysOfProsthesis: ReadonlyMap<string, ReadonlySet<number> | undefined>
  daysOfChip: ReadonlyMap<string, ReadonlySet<number> | undefined>
}

export function scopeOfParts(
  { userIds, daysOfProsthesis, daysOfChip }: ScopeParts,
  bounds: { fromDay: number; toDay: number },
): Scope {
  const within =
    (daysOf: ReadonlyMap<string, ReadonlySet<number> | undefined>) =>
    (key: string, day: number): boolean => {
      if (!daysOf.has(key) || day < bounds.fromDay || day > bounds.toDay) return false
      return daysOf.get(key)?.has(day) ?? true
    }
  const parts = [...daysOfProsthesis.values(), ...daysOfChip.values()]
  const days = parts.includes(undefined) ? undefined : [...new Set(parts.flatMap((set) => [...set!]))].sort()
  return {
    fromDay: days ? days.reduce((least, day) => Math.min(least, day), bounds.toDay) : bounds.fromDay,
    toDay: days ? days.reduce((most, day) => Math.max(most, day), bounds.fromDay) : bounds.toDay,
    days,
    owners: { userIds: [...userIds], prosthesisIds: [...daysOfProsthesis.keys()] },
    chipIds: [...daysOfChip.keys()],
    includes: within(daysOfProsthesis),
    includesChip: within(daysOfChip),
  }
}
