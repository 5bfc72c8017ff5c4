import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { expect, test } from 'vitest'
import { daysUntil } from '../day.ts'
import { ChartMarks } from './chart-marks.tsx'

const days = daysUntil('2026-11-21', 5)
function marks(shape: 'bars' | 'lines', unfinishedDay: string | null, suffix = ''): string {
  return renderToStaticMarkup(
    createElement(ChartMarks, {
      shape,
      seriesCount: 2,
      slots: days.map((day, index) => ({ day, values: [index + 1, 2] })),
      unfinishedDay,
      quantity: { factor: 1, suffix, isPercent: false },
      width: 400,
      selected: 0,
      onSelect: () => {},
    }),
  )
}
/** How many points the paths of a class go through, path by path. */
const points = (svg: string, attributes: string) =>
  [...svg.matchAll(/<path([^>]*) d="([^"]*)"/g)]
    .filter(([, given]) => given === attributes)
    .map(([, , way]) => way!.split(/[ML]/).length - 1)

test('the way to a day that goes on is marked in each line, and so is its point', () => {
  const going = marks('lines', days.at(-1)!)
  expect(points(going, '')).toEqual([4, 4])
  expect(points(going, ' class="unfinished"')).toEqual([2, 2])
  expect(going.match(/<circle class="unfinished"/g)).toHaveLength(2)

  const over = marks('lines', null)
  expect(points(over, '')).toEqual([5, 5])
  expect(over).not.toContain('unfinished')
})

test('a bar of a day that goes on is marked', () => {
  expect(marks('bars', days.at(-1)!).match(/<rect class="unfinished"/g)).toHaveLength(2)
  expect(marks('bars', null)).not.toContain('unfinished')
})

test('the unit stands over its numbers', () => {
  expect(marks('lines', null, 'ms').match(/>ms<\/text>/g)).toHaveLength(1)
})
