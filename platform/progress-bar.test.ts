import { expect, test } from 'vitest'
import { progressBar, progressLine } from './progress-bar.ts'

test('a bar is as full as what it shows, from nothing to everything and not beyond', () => {
  expect([0, 1 / 3, 0.999, 1, 7, -1].map(progressBar)).toEqual([
    '░░░░░░░░░░░░░░░░░░░░░░░░   0 %',
    '████████░░░░░░░░░░░░░░░░  33 %',
    '████████████████████████  99 %',
    '████████████████████████ 100 %',
    '████████████████████████ 100 %',
    '░░░░░░░░░░░░░░░░░░░░░░░░   0 %',
  ])
})

test('a line says how much is done, how fast and for how long still, as soon as that is known', () => {
  const half = { done: 7, total: 14, unit: 'days', rate: '1,200 rows/s', secondsLeft: 11.2 }
  expect(progressLine(half)).toBe('████████████░░░░░░░░░░░░  50 % 7/14 days, 1,200 rows/s, 12 s left')
  expect(progressLine({ ...half, done: 0, secondsLeft: undefined })).toBe(
    '░░░░░░░░░░░░░░░░░░░░░░░░   0 % 0/14 days',
  )
})
