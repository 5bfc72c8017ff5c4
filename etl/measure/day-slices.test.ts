import { expect, test } from 'vitest'
import { daysOfFirstSlice, endOfSlice, nextDaysOfSlice } from './day-slices.ts'

const endOf = (from: string, days: number) =>
  new Date(endOfSlice(Date.parse(from) * 1000, days) / 1000).toISOString().slice(0, 16)

test('slices end with weeks, which begin on Monday 00:00 UTC, as partitions do', () => {
  // A day of Auckland begins the day before in UTC.
  expect(endOf('2026-11-22T11:00Z', 7)).toBe('2026-11-23T00:00')
  expect(endOf('2026-11-23T00:00Z', 7)).toBe('2026-11-30T00:00')
  expect(endOf('2026-11-25T00:00Z', 13)).toBe('2026-11-30T00:00')
  expect(endOf('2026-11-25T00:00Z', 14)).toBe('2026-12-07T00:00')
  expect(endOf('1969-12-31T00:00Z', 7)).toBe('1970-01-05T00:00')
})

test('where a week is too much for one they are days, of one week', () => {
  expect(endOf('2026-11-23T00:00Z', 3)).toBe('2026-11-26T00:00')
  expect(endOf('2026-11-26T00:00Z', 3)).toBe('2026-11-29T00:00')
  expect(endOf('2026-11-29T00:00Z', 3)).toBe('2026-11-30T00:00')
  expect(endOf('2026-11-24T10:00Z', 1)).toBe('2026-11-25T00:00')
})

const nextDays = (days: number, rowsOfDay: number) => nextDaysOfSlice(days, rowsOfDay, 500_000)

test('the next slice is as long as what came allows, and at most twice the last', () => {
  expect(nextDays(7, 55_000)).toBe(9)
  expect(nextDays(7, 100_000)).toBe(5)
  expect(nextDays(5, 3_000_000)).toBe(1)
  expect(nextDays(1, 3_000_000)).toBe(1)
  expect(nextDays(daysOfFirstSlice, 1)).toBe(4)
  expect(nextDays(daysOfFirstSlice, 0)).toBe(4)
  expect(nextDays(56, 1)).toBe(63)
})
