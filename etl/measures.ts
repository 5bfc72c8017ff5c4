/**
 * The measures of a chip on a day, in the order of chip-days.sql, where each is defined, and by the names of
 * their columns in `reports.user_prosthesis_stats`.
 */
export const measureNames = [
  'events',
  'errors',
  'error_rate',
  'response_time_avg_ms',
  'response_time_p95_ms',
  'battery_min_percent',
  'battery_avg_percent',
  'active_minutes',
  'movements',
] as const

type MeasureName = (typeof measureNames)[number]

/** Element i of each array belongs to row i; NaN stands for null, which no measure can be otherwise. */
export type Measures = Record<MeasureName, Float64Array>

/** Builds a set of measures by asking for each column. */
export function measuresFrom(column: (name: MeasureName, position: number) => Float64Array): Measures {
  return Object.fromEntries(measureNames.map((name, position) => [name, column(name, position)])) as Measures
}

/** The measures of some of the rows, in the order asked for. */
export function takeMeasures(from: Measures, rows: readonly number[]): Measures {
  return measuresFrom((name) => Float64Array.from(rows, (row) => from[name][row]!))
}
