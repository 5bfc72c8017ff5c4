/** Days are `YYYY-MM-DD` and UTC days, as everywhere in Tendon; text sorts as time does. */

const dayMs = 86_400_000

/** The days that have data, both included; null where that is not known. */
export type DayBounds = { from: string | null; to: string | null }

/** Whether a text is a day of the calendar: `2026-02-30` is not. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false
  const time = Date.parse(text)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
}

export function addDays(day: string, count: number): string {
  return new Date(Date.parse(day) + count * dayMs).toISOString().slice(0, 10)
}

/** The day before and the day after, null where the data ends. From outside the data they lead to its nearest end. */
export function neighbours(
  day: string,
  { from, to }: DayBounds,
): { previous: string | null; next: string | null } {
  const before = addDays(day, -1)
  const after = addDays(day, 1)
  return {
    previous: from && before < from ? null : to && before > to ? to : before,
    next: to && after > to ? null : from && after < from ? from : after,
  }
}

/** Whether a day lies before the first or after the last day with data. */
export function isOutside(day: string, { from, to }: DayBounds): boolean {
  return (from !== null && day < from) || (to !== null && day > to)
}

/** The days of a window that ends with `last`, oldest first. */
export function daysUntil(last: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => addDays(last, index - count + 1))
}

/** Whether the day is still going on, so that its sums still grow. */
export function isInProgress(day: string, nowMs: number): boolean {
  return day === new Date(nowMs).toISOString().slice(0, 10)
}

const longFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeZone: 'UTC' })
const shortFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })

/** `Saturday, 21 November 2026` */
export const longDay = (day: string) => longFormat.format(Date.parse(day))

/** `21 Nov` */
export const shortDay = (day: string) => shortFormat.format(Date.parse(day))
