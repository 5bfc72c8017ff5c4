import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'

/** One number of a prosthesis's day and how people read it. */
export type Measure = {
  field: Exclude<keyof ProsthesisDay, 'day'>
  label: string
  /** Decimals shown at most. */
  digits: number
  /** Which direction is a reason to look closer, if any. */
  concern: 'high' | 'low' | 'none'
}

const movements: Measure = {
  field: 'movements',
  label: 'Movements',
  digits: 0,
  concern: 'none',
}
const activeTime: Measure = {
  field: 'active_minutes',
  label: 'Active time',
  digits: 0,
  concern: 'none',
}
const responseAverage: Measure = {
  field: 'response_time_avg_ms',
  label: 'Response time, average',
  digits: 0,
  concern: 'high',
}
const responseP95: Measure = {
  field: 'response_time_p95_ms',
  label: 'Response time, 95th percentile',
  digits: 0,
  concern: 'high',
}
const errorRate: Measure = {
  field: 'error_rate',
  label: 'Error rate',
  digits: 2,
  concern: 'high',
}
const batteryAverage: Measure = {
  field: 'battery_avg_percent',
  label: 'Battery, average',
  digits: 0,
  concern: 'low',
}
const batteryLowest: Measure = {
  field: 'battery_min_percent',
  label: 'Battery, lowest',
  digits: 0,
  concern: 'low',
}

/** In the order of the card and of the table. */
export const measures: Measure[] = [
  movements,
  activeTime,
  responseAverage,
  responseP95,
  errorRate,
  batteryAverage,
  batteryLowest,
]

/** What the chart of the last 30 days can show. Sums are bars; what is measured is a line. */
export type Chart = {
  id: string
  label: string
  shape: 'bars' | 'lines'
  series: { measure: Measure; label: string }[]
}

export const charts: Chart[] = [
  {
    id: 'movements',
    label: 'Movements',
    shape: 'bars',
    series: [{ measure: movements, label: 'movements' }],
  },
  { id: 'active', label: 'Active time', shape: 'bars', series: [{ measure: activeTime, label: 'active' }] },
  {
    id: 'response',
    label: 'Response',
    shape: 'lines',
    series: [
      { measure: responseAverage, label: 'average' },
      { measure: responseP95, label: '95th percentile' },
    ],
  },
  { id: 'errors', label: 'Errors', shape: 'lines', series: [{ measure: errorRate, label: 'error rate' }] },
  {
    id: 'battery',
    label: 'Battery',
    shape: 'lines',
    series: [
      { measure: batteryAverage, label: 'average' },
      { measure: batteryLowest, label: 'lowest' },
    ],
  },
]
