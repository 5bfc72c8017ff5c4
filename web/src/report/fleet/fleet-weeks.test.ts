import { expect, test } from 'vitest'
import { fleetWeeks } from './fleet-weeks.ts'

const row = (model: string, week: string, error_rate: number) => ({
  model,
  firmware_version: '3.1.0',
  week,
  prostheses: 1,
  events: 1_000,
  errors: error_rate * 1_000,
  error_rate,
})

// 2026-03-14 is a Saturday.
const rows = [
  row('Grip 3', '2026-03-02', 0.01),
  row('Stride 2', '2026-03-02', 0.02),
  row('Grip 3', '2026-03-09', 0.5),
  row('Stride 2', '2026-03-09', 0.001),
  row('Wade 1', '2026-03-09', 0.9),
]

test('a week that goes on is not compared: neither by the order nor by the highest rate', () => {
  const { weeks, groups, highestRate } = fleetWeeks({ date: '2026-03-14', rows }, { isOver: true })
  expect(weeks).toEqual([
    { week: '2026-03-09', isWhole: false },
    { week: '2026-03-02', isWhole: true },
  ])
  expect(groups.map(({ model }) => model)).toEqual(['Stride 2', 'Grip 3', 'Wade 1'])
  expect(highestRate).toBe(0.02)
})

test('it is once its Sunday is over', () => {
  const onSunday = (isOver: boolean) => fleetWeeks({ date: '2026-03-15', rows }, { isOver })
  expect(onSunday(false).weeks[0]).toEqual({ week: '2026-03-09', isWhole: false })
  const { weeks, groups, highestRate } = onSunday(true)
  expect(weeks.every(({ isWhole }) => isWhole)).toBe(true)
  expect(groups.map(({ model }) => model)).toEqual(['Wade 1', 'Grip 3', 'Stride 2'])
  expect(highestRate).toBe(0.9)
})

test('a report without rows has neither weeks nor groups', () => {
  expect(fleetWeeks({ date: '2026-03-15', rows: [] }, { isOver: true })).toEqual({
    weeks: [],
    groups: [],
    highestRate: 0,
  })
})
