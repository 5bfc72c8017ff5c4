import { scaleLinear } from 'd3-scale'
import { line } from 'd3-shape'
import type { PointerEvent } from 'react'
import { shortDay } from '../day.ts'
import { numberText, type Quantity } from '../quantity.ts'

/** A day, and its value in each series; null where there is none. */
export type Slot = { day: string; values: (number | null)[] }

type ChartMarksProps = {
  shape: 'bars' | 'lines'
  seriesCount: number
  slots: Slot[]
  unfinishedDay: string | null
  quantity: Quantity
  /** Pixels. */
  width: number
  selected: number
  onSelect: (index: number) => void
}

const height = 260
const margin = { top: 24, right: 22, bottom: 22, left: 44 }
/** Labels stand a week apart, or in a long window two. */
const longWindowDays = 45

/** The chart as SVG, coloured by the style sheet. Screen readers get the slider and the table instead. */
export function ChartMarks(props: ChartMarksProps) {
  const { shape, seriesCount, slots, unfinishedDay, quantity, width, selected, onSelect } = props
  const highest =
    Math.max(...slots.flatMap(({ values }) => values.map((value) => value ?? 0))) * quantity.factor
  const y = scaleLinear([0, highest || 1], [height - margin.bottom, margin.top]).nice(4)
  const x = scaleLinear([0, slots.length - 1], [margin.left + 8, width - margin.right - 8])
  const daysBetweenLabels = slots.length > longWindowDays ? 14 : 7
  const allSeries = Array.from({ length: seriesCount }, (_, series) => series)
  const measured = (slot: Slot, series: number) => {
    const value = slot.values[series] ?? null
    return value === null ? null : value * quantity.factor
  }

  function selectNearest(event: PointerEvent<SVGSVGElement>) {
    const offset = event.clientX - event.currentTarget.getBoundingClientRect().left
    onSelect(Math.min(slots.length - 1, Math.max(0, Math.round(x.invert(offset)))))
  }

  const barWidth = Math.max(3, ((width - margin.left - margin.right) / slots.length) * 0.64)
  return (
    <svg className="marks" width={width} height={height} aria-hidden="true" onPointerMove={selectNearest}>
      {quantity.suffix && !quantity.isPercent && (
        <text x={margin.left - 8} y={10} textAnchor="end">
          {quantity.suffix}
        </text>
      )}
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
      {allSeries.map((series) =>
        shape === 'bars' ? (
          <g key={series} className={`bars series-${series + 1}`}>
            {slots.map((slot, index) => {
              const top = y(measured(slot, series) ?? 0)
              return (
                <rect
                  key={slot.day}
                  className={barClass(slot.day === unfinishedDay, index === selected)}
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
          <g key={series} className={`line series-${series + 1}`}>
            {lineParts(slots, unfinishedDay).map(({ isUnfinished, has }) => (
              <path
                key={String(isUnfinished)}
                className={isUnfinished ? 'unfinished' : undefined}
                d={linePath(
                  slots.map((slot, index) => (has(index) ? measured(slot, series) : null)),
                  x,
                  y,
                )}
              />
            ))}
            {slots.map((slot, index) => {
              const value = measured(slot, series)
              if (value === null) return null
              return (
                <circle
                  key={slot.day}
                  className={slot.day === unfinishedDay ? 'unfinished' : undefined}
                  cx={x(index)}
                  cy={y(value)}
                  r={index === selected ? 4 : slots.length > longWindowDays ? 1.2 : 1.75}
                />
              )
            })}
          </g>
        ),
      )}
    </svg>
  )
}

function barClass(isUnfinished: boolean, isSelected: boolean): string {
  return (isUnfinished ? 'unfinished' : '') + (isSelected ? ' selected' : '')
}

/** The line over the days that are over, and its way on to the last one while that goes on. */
function lineParts(slots: Slot[], unfinishedDay: string | null) {
  const end = slots.length - 1
  if (slots[end]?.day !== unfinishedDay) return [{ isUnfinished: false, has: () => true }]
  return [
    { isUnfinished: false, has: (index: number) => index < end },
    { isUnfinished: true, has: (index: number) => index >= end - 1 },
  ]
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
