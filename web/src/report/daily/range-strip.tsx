import type { Comparison } from './comparison.ts'

const width = 96
const margin = 5

/**
 * The day's number among the last 30 days, as laboratories print it: the line is their range,
 * the tick their mean, the dot the day. The text beside it says the same.
 */
export function RangeStrip({ value, comparison }: { value: number; comparison: Comparison }) {
  const { mean, lowest, highest, isConcern } = comparison
  const from = Math.min(lowest, value)
  const span = Math.max(highest, value) - from || 1
  const x = (number: number) => margin + ((number - from) / span) * (width - 2 * margin)
  return (
    <svg
      className={isConcern ? 'range-strip concern' : 'range-strip'}
      viewBox={`0 0 ${width} 14`}
      width={width}
      height="14"
      aria-hidden="true"
    >
      <line className="range" x1={x(lowest)} x2={x(highest)} y1="7" y2="7" />
      <line className="mean" x1={x(mean)} x2={x(mean)} y1="2" y2="12" />
      <circle className="value" cx={x(value)} cy="7" r="4" />
    </svg>
  )
}
