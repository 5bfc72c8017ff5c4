/** What a prosthesis' rows of one day come to; the metrics are functions of it. One object is used again and again. */
export type DayFacts = {
  rows: number
  rowsWithError: number
  /**
   * The response times, ascending: a sum of floats depends on its order, and must always give the same bits. The array
   * is longer than they are many.
   */
  responseTimesMs: Float32Array
  responses: number
  batteryRows: number
  /** Meaningless without battery rows, as is their sum. */
  lowestBatteryPercent: number
  sumOfBatteryPercent: number
  activeMs: number
  movements: number
}

export type Metric = {
  /** Column of `reports.user_prosthesis_stats`. */
  name: string
  formula: string
  unit: string
  whenNothing: string
  type: 'UInt32' | 'UInt64' | 'Float64' | 'Nullable(UInt8)' | 'Nullable(Float64)'
  /** A value outside means that the computation or the rules on rows are wrong: the run is not loaded. */
  range: readonly [least: number, most: number]
  /** NaN stands for null. */
  of(facts: DayFacts): number
}

/**
 * The metrics, and the only place that defines them: what computes, loads, compares and checks them goes by this list, and a
 * test holds the table of README.md to it.
 */
export const metrics = [
  {
    name: 'events',
    formula: 'telemetry rows',
    unit: 'count',
    whenNothing: 'no row at all',
    type: 'UInt32',
    range: [1, 4_294_967_295],
    of: (facts) => facts.rows,
  },
  {
    name: 'errors',
    formula: 'rows with an error code',
    unit: 'count',
    whenNothing: '0',
    type: 'UInt32',
    range: [0, 4_294_967_295],
    of: (facts) => facts.rowsWithError,
  },
  {
    name: 'error_rate',
    formula: '`errors / events`',
    unit: '0 to 1',
    whenNothing: '0',
    type: 'Float64',
    range: [0, 1],
    of: (facts) => facts.rowsWithError / facts.rows,
  },
  {
    name: 'response_time_avg_ms',
    formula: 'mean of the response times',
    unit: 'ms',
    whenNothing: 'null',
    type: 'Nullable(Float64)',
    range: [0, 60_000],
    of: ({ responseTimesMs, responses }) => sum(responseTimesMs, responses) / responses,
  },
  {
    name: 'response_time_p95_ms',
    formula: 'their 95th percentile, interpolated between the two nearest (`percentile_cont`)',
    unit: 'ms',
    whenNothing: 'null',
    type: 'Nullable(Float64)',
    range: [0, 60_000],
    of: ({ responseTimesMs, responses }) => percentile(responseTimesMs, responses, 0.95),
  },
  {
    name: 'battery_min_percent',
    formula: 'lowest charge',
    unit: '%',
    whenNothing: 'null',
    type: 'Nullable(UInt8)',
    range: [0, 100],
    of: (facts) => (facts.batteryRows > 0 ? facts.lowestBatteryPercent : Number.NaN),
  },
  {
    name: 'battery_avg_percent',
    formula: 'mean of the charges',
    unit: '%',
    whenNothing: 'null',
    type: 'Nullable(Float64)',
    range: [0, 100],
    of: (facts) => facts.sumOfBatteryPercent / facts.batteryRows,
  },
  {
    name: 'active_minutes',
    formula: 'sum of `active_ms` / 60000',
    unit: 'min',
    whenNothing: '0',
    type: 'Float64',
    range: [0, Number.MAX_SAFE_INTEGER],
    of: (facts) => facts.activeMs / 60_000,
  },
  {
    name: 'movements',
    formula: 'sum of `movement_count`',
    unit: 'count',
    whenNothing: '0',
    type: 'UInt64',
    range: [0, Number.MAX_SAFE_INTEGER],
    of: (facts) => facts.movements,
  },
] as const satisfies readonly Metric[]

export type MetricName = (typeof metrics)[number]['name']

/** Element i of each array belongs to row i; NaN stands for null, which no metric can be otherwise. */
export type MetricColumns = Record<MetricName, Float64Array>

/** Makes the columns by asking for each. */
export function metricColumns(
  column: (metric: Metric & { name: MetricName }) => Float64Array,
): MetricColumns {
  return Object.fromEntries(metrics.map((metric) => [metric.name, column(metric)])) as MetricColumns
}

function sum(values: Float32Array, count: number): number {
  let total = 0
  for (let i = 0; i < count; i++) total += values[i]!
  return total
}

function percentile(ascending: Float32Array, count: number, fraction: number): number {
  if (count === 0) return Number.NaN
  const place = fraction * (count - 1)
  const low = ascending[Math.floor(place)]!
  return low + (place - Math.floor(place)) * (ascending[Math.ceil(place)]! - low)
}
