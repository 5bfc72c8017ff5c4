/** A UTC day, as the number of days since 1970-01-01. */
export type DayNumber = number

export const dayMs = 86_400_000

export function dayOf(instant: Date): DayNumber {
  return Math.floor(instant.getTime() / dayMs)
}

/** `YYYY-MM-DD`. */
export function dayText(day: DayNumber): string {
  return new Date(day * dayMs).toISOString().slice(0, 10)
}
