import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import type { PointerEvent } from 'react'
import { shortDay } from './day.ts'
import type { Chart, Measure } from './measures.ts'
import { numberText, type Quantity } from './quantity.ts'

export type Slot = { day: string; numbers: ProsthesisDay | null }

type ChartMarksProps = {
  chart: Chart
  slots: Slot[]
  quantity: Quantity
  /** Pixels. */
  width: number
  selected: number
  onSelect: (index: number) => void
}

const height = 260
const margin = { top: 10, right: 22, bottom: 22, left: 44 }
const daysBetweenLabels = 7

/** The chart as SVG, coloured by the style sheet. Screen readers get the slider and the table instead. */
export function ChartMarks({ chart, slots, quantity, width, selected, onSelect }: ChartMarksProps) {
  const values = slots.flatMap(({ numbers }) =>
    chart.series.map(({ measure }) => numbers?.[measure.field] ?? 0),
  )
  const highest = Math.max(...values) * quantity.factor
  const y = scaleLinear([0, highest || 1], [height - margin.bottom, margin.top]).nice(4)
  const x = scaleLinear([0, slots.length - 1], [margin.left + 8, width - margin.right - 8])
  const measured = (slot: Slot, { field }: Measure) => {
    const value = slot.numbers?.[field] ?? null
    return value === null ? null : value * quantity.factor
  }

  function selectNearest(event: PointerEvent<SVGSVGElement>) {
    const offset = event.clientX - event.currentTarget.getBoundingClientRect().left
    onSelect(Math.min(slots.length - 1, Math.max(0, Math.round(x.invert(offset)))))
  }

  const barWidth = Math.max(3, ((width - margin.left - margin.right) / slots.length) * 0.64)
  return (
    <svg className="marks" width={width} height={height} aria-hidden="true" onPointerMove={selectNearest}>
      {y.ticks(4).map((tick) => (
        <g key={tick} className="grid">
          <line x1={margin.left} x2={width - margin.right} y1={y(tick)} y2={y(tick)} />
          <text x={margin.left - 8} y={y(tick)} dy="0.32em" textAnchor="end">
            {numberText(tick, { ...quantity, factor: 1 }, 3)}
            {quantity.isPercent && '%'}
          </text>
        </g>
      ))}
      {slots.map(({ day }, index) =>
        (slots.length - 1 - index) % daysBetweenLabels === 0 ? (
          <text key={day} className="day-label" x={x(index)} y={height - 4} textAnchor="middle">
            {shortDay(day)}
          </text>
        ) : null,
      )}
      <line
        className="cursor"
        x1={x(selected)}
        x2={x(selected)}
        y1={margin.top}
        y2={height - margin.bottom}
      />
      {chart.series.map(({ measure }, series) =>
        chart.shape === 'bars' ? (
          <g key={measure.field} className={`bars series-${series + 1}`}>
            {slots.map((slot, index) => {
              const top = y(measured(slot, measure) ?? 0)
              return (
                <rect
                  key={slot.day}
                  className={index === selected ? 'selected' : undefined}
                  x={x(index) - barWidth / 2}
                  y={top}
                  width={barWidth}
                  height={y(0) - top}
                  rx="1.5"
                />
              )
            })}
          </g>
        ) : (
          <g key={measure.field} className={`line series-${series + 1}`}>
            <path
              d={linePath(
                slots.map((slot) => measured(slot, measure)),
                x,
                y,
              )}
            />
            {slots.map((slot, index) => {
              const value = measured(slot, measure)
              if (value === null) return null
              return <circle key={slot.day} cx={x(index)} cy={y(value)} r={index === selected ? 4 : 1.75} />
            })}
          </g>
        ),
      )}
    </svg>
  )
}

/** A line with a gap where there is no number, never a bridge over it. */
function linePath(
  values: (number | null)[],
  x: (index: number) => number,
  y: (value: number) => number,
): string {
  const path = line<number | null>()
    .defined((value) => value !== null)
    .x((_, index) => x(index))
    .y((value) => y(value ?? 0))
  return path(values) ?? ''
}
