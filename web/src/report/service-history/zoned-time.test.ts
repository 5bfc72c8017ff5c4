import { expect, test } from 'vitest'
import { clockOf } from './zoned-time.ts'

test('a moment is told by the clock where the patient lives, on the day that it was there', () => {
  const { zone, read } = clockOf('America/New_York')
  expect(zone).toBe('America/New York')
  expect(read('2026-03-15T02:05:59.999999Z')).toEqual({ day: '14 March 2026', time: '22:05' })
})

test('by UTC where the browser knows no such zone', () => {
  const { zone, read } = clockOf('Europe/Nowhere')
  expect(zone).toBe('UTC')
  expect(read('2026-03-15T02:05:00Z')).toEqual({ day: '15 March 2026', time: '02:05' })
})
