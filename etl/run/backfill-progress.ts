import type { BackfillResult } from './backfill.ts'

export type BackfillProgress = {
  days: number
  daysDone: number
  rowsIn: number
  rowsPerSecond: number
  /** Undefined until days were measured by which it can be told. */
  secondsLeft: number | undefined
}

/**
 * How far a backfill is, and how fast: by the days that this call has measured, and not by those that an earlier one had.
 * @param seconds since the call began
 */
export function progressOf(
  { days, days_resumed, rows_in }: Pick<BackfillResult, 'days' | 'days_resumed' | 'rows_in'>,
  daysDone: number,
  seconds: number,
): BackfillProgress {
  const daysNow = daysDone - days_resumed
  return {
    days,
    daysDone,
    rowsIn: rows_in,
    rowsPerSecond: daysNow === 0 ? 0 : rows_in / seconds,
    secondsLeft: daysNow === 0 ? undefined : (seconds / daysNow) * (days - daysDone),
  }
}
