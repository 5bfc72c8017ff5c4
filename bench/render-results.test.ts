import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readmePath, renderReadme } from './render-results.ts'
import { isMet, measured, measuredLatency, measuredRepeatedly } from './results.ts'

test('README.md shows the kept results (npm run bench -- --write)', async () => {
  expect(await readFile(readmePath, 'utf8')).toBe(await renderReadme())
})

test('a target is met or missed, and what has none is neither', () => {
  expect(isMet(measured('start', 40, 's', { atMost: 40 }))).toBe(true)
  expect(isMet(measured('start', 40.1, 's', { atMost: 40 }))).toBe(false)
  expect(isMet(measured('rate', 14_999, 'rows/s', { atLeast: 15_000 }))).toBe(false)
  expect(isMet(measured('rate', 15_000, 'rows/s'))).toBeUndefined()
})

test('several samples become one value with its extremes', () => {
  expect(measuredRepeatedly('run', [3, 1, 2], 's')).toEqual({
    what: 'run',
    value: 2,
    unit: 's',
    low: 1,
    high: 3,
    samples: 3,
  })
  const latencies = Array.from({ length: 100 }, (_, index) => index + 1)
  expect(measuredLatency('visible', latencies).map(({ value }) => value)).toEqual([50, 99])
})
