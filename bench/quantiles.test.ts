import { expect, test } from 'vitest'
import { median, quantile } from './quantiles.ts'

test('a quantile is the nearest rank: a sample, and never one between two', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
  expect(quantile(hundred, 0.5)).toBe(50)
  expect(quantile(hundred, 0.99)).toBe(99)
  expect(quantile(hundred, 1)).toBe(100)
  expect(quantile([7], 0.01)).toBe(7)
  expect(median([9, 1, 2])).toBe(2)
})

test('samples are ordered as numbers and left as they were', () => {
  const samples = [10, 9, 100]
  expect(quantile(samples, 0.3)).toBe(9)
  expect(samples).toEqual([10, 9, 100])
  expect(() => quantile([], 0.5)).toThrow(RangeError)
})
