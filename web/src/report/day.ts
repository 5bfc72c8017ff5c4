import type { Freshness } from '@tendon/contracts/freshness.ts'

/** Days are `YYYY-MM-DD`, each patient's by the clock where they live; text sorts as time does. */

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

/** The day at a moment, by the clock of a zone; in UTC where the browser knows none of this name. */
export function dayAt(timeMs: number, timeZone: string | undefined): string {
  try {
    return new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeZone }).format(timeMs)
  } catch {
    return new Date(timeMs).toISOString().slice(0, 10)
  }
}

/** Whether the device data were read after the day's end: until then its numbers are those so far. */
export function isOver(day: string, { etl_at }: Pick<Freshness, 'etl_at'>, timeZone: string): boolean {
  return etl_at !== null && day < dayAt(Date.parse(etl_at), timeZone)
}

const longFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeZone: 'UTC' })
const shortFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const yearFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' })

/** `Saturday, 21 November 2026` */
export const longDay = (day: string) => longFormat.format(Date.parse(day))

/** `21 November 2026` */
export const dayOfYear = (day: string) => yearFormat.format(Date.parse(day))

/** `21 Nov` */
export const shortDay = (day: string) => shortFormat.format(Date.parse(day))
