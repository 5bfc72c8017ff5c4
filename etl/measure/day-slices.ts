import { dayUs } from '../time/instants.ts'

const mostDays = 63

const daysOfWeek = 7
/** 1970-01-01 was a Thursday. */
const firstMonday = 4

/** How much there is of a day is not known yet: the next slices are longer where that is little. */
export const daysOfFirstSlice = 2

/**
 * Where a slice of some days ends: after whole UTC weeks from Monday, as partitions do, so that none is read twice. Where
 * a week is too much for one slice it is days of one week, for each of which the partition is read from beginning to end.
 */
export function endOfSlice(fromUs: number, days: number): number {
  const fromDay = Math.floor(fromUs / dayUs)
  const nextMonday = firstMonday + (Math.floor((fromDay - firstMonday) / daysOfWeek) + 1) * daysOfWeek
  const moreWeeks = Math.floor(days / daysOfWeek) - 1
  const toDay = moreWeeks < 0 ? Math.min(fromDay + days, nextMonday) : nextMonday + moreWeeks * daysOfWeek
  return toDay * dayUs
}

/** Of how many days the next slice is. @param rowsOfDay in the last one @param rowsOfSlice how many it is to have */
export function nextDaysOfSlice(days: number, rowsOfDay: number, rowsOfSlice: number): number {
  return Math.max(1, Math.min(Math.floor(rowsOfSlice / rowsOfDay), days * 2, mostDays))
}
