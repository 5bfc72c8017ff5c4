import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { expect, test } from 'vitest'
import { addDays } from '../day.ts'
import { type Measure, measures } from '../measures.ts'
import { quantityOf } from '../quantity.ts'
import { compareWithMean } from './comparison.ts'

const date = '2026-11-21'
const milliseconds = quantityOf('ms')

test('a day within one standard deviation is as usual, and the day itself is not in the mean', () => {
  const history = daysWith('response_time_avg_ms', [190, 210, 190, 210, 190, 210])
  const today = dayWith({ response_time_avg_ms: 205 })
  expect(compareWithMean(measure('response_time_avg_ms'), today, [...history, today], milliseconds)).toEqual({
    mean: 200,
    lowest: 190,
    highest: 210,
    text: 'as usual; 30-day mean 200\u202fms',
    isConcern: false,
  })
})

test('further away it says how far, and beyond two deviations in the wrong direction it is of concern', () => {
  const history = daysWith('response_time_avg_ms', [190, 210, 190, 210, 190, 210])
  const compared = (value: number) =>
    compareWithMean(
      measure('response_time_avg_ms'),
      dayWith({ response_time_avg_ms: value }),
      history,
      milliseconds,
    )
  expect(compared(216)).toMatchObject({ text: '8\u202f% above 30-day mean 200\u202fms', isConcern: false })
  expect(compared(230)).toMatchObject({ text: '15\u202f% above 30-day mean 200\u202fms', isConcern: true })
  expect(compared(150)).toMatchObject({ text: '25\u202f% below 30-day mean 200\u202fms', isConcern: false })
})

test('a low battery is of concern, a high one is not, and percentages differ by points', () => {
  const history = daysWith('battery_min_percent', [30, 32, 28, 30, 30])
  const compared = (value: number) =>
    compareWithMean(
      measure('battery_min_percent'),
      dayWith({ battery_min_percent: value }),
      history,
      quantityOf('%'),
    )
  expect(compared(10)).toMatchObject({ text: '20\u202fpoints below 30-day mean 30\u202f%', isConcern: true })
  expect(compared(60)).toMatchObject({ text: '30\u202fpoints above 30-day mean 30\u202f%', isConcern: false })
})

test('the mean error rate is that of all events: a day with three events does not weigh like the others', () => {
  const usual = daysWith('error_rate', [0.01, 0.01, 0.01, 0.01]).map((day) => ({
    ...day,
    events: 1000,
    errors: 10,
  }))
  const quiet = { ...dayWith({ error_rate: 1, events: 3, errors: 3 }), day: '2026-11-01' }
  const compared = compareWithMean(
    measure('error_rate'),
    dayWith({ error_rate: 0.01 }),
    [quiet, ...usual],
    quantityOf('errors per event'),
  )
  expect(compared?.mean).toBeCloseTo(43 / 4003)
})

test('there is nothing to compare with fewer than five measured days, or without a number', () => {
  const compared = (value: number | null, values: (number | null)[]) =>
    compareWithMean(
      measure('response_time_p95_ms'),
      dayWith({ response_time_p95_ms: value }),
      daysWith('response_time_p95_ms', values),
      milliseconds,
    )
  expect(compared(300, [300, 310, 290, 300, null, null])).toBeNull()
  expect(compared(null, [300, 310, 290, 300, 300])).toBeNull()
  expect(compared(300, [300, 310, 290, 300, 300])).not.toBeNull()
})

function measure(field: Measure['field']): Measure {
  return measures.find((candidate) => candidate.field === field)!
}

/** Days before the report's, oldest first. */
function daysWith(field: Measure['field'], values: (number | null)[]): ProsthesisDay[] {
  return values.map((value, index) => ({
    ...dayWith({ [field]: value }),
    day: addDays(date, index - values.length),
  }))
}

function dayWith(numbers: Partial<ProsthesisDay>): ProsthesisDay {
  return {
    day: date,
    events: 1000,
    errors: 10,
    error_rate: 0.01,
    response_time_avg_ms: 200,
    response_time_p95_ms: 300,
    battery_min_percent: 30,
    battery_avg_percent: 60,
    active_minutes: 400,
    movements: 4000,
    ...numbers,
  }
}
