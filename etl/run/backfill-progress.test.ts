import { expect, test } from 'vitest'
import { progressOf } from './backfill-progress.ts'

test('rate and time left go by the days that this call has measured', () => {
  const backfill = { days: 31, days_resumed: 7, rows_in: 0 }
  const begun = { days: 31, daysDone: 7, rowsIn: 0, rowsPerSecond: 0, secondsLeft: undefined }
  expect(progressOf(backfill, 7, 0.2)).toEqual(begun)
  const later = { rowsIn: 9_000, daysDone: 19, rowsPerSecond: 1_500, secondsLeft: 6 }
  expect(progressOf({ ...backfill, rows_in: 9_000 }, 19, 6)).toEqual({ ...begun, ...later })
  expect(progressOf({ ...backfill, rows_in: 9_000 }, 31, 12)).toMatchObject({ secondsLeft: 0 })
})
