import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { useId, useState } from 'react'
import { ChartMarks } from './chart-marks.tsx'
import { daysUntil, shortDay } from './day.ts'
import type { Chart } from './measures.ts'
import { quantityOf, quantityText } from './quantity.ts'
import { useElementWidth } from './use-element-width.ts'

type HistoryChartProps = { chart: Chart; date: string; days: ProsthesisDay[]; units: Record<string, string> }

const windowDays = 30

/** A chart of 30 days with a slider under it that reads out one day at a time, by pointer, touch or keyboard. */
export function HistoryChart({ chart, date, days, units }: HistoryChartProps) {
  const [selected, setSelected] = useState(windowDays - 1)
  const [ref, width] = useElementWidth<HTMLDivElement>()
  const sliderId = useId()

  const byDay = new Map(days.map((day) => [day.day, day]))
  const slots = daysUntil(date, windowDays).map((day) => ({ day, numbers: byDay.get(day) ?? null }))
  const shown = slots[selected]!
  const readings = chart.series.map(({ measure, label }) => {
    const value = shown.numbers?.[measure.field] ?? null
    const quantity = quantityOf(units[measure.field])
    return { label, text: value === null ? 'no data' : quantityText(value, quantity, measure.digits) }
  })
  const spoken = `${shortDay(shown.day)}: ${readings.map(({ label, text }) => `${label} ${text}`).join(', ')}`

  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-day">{shortDay(shown.day)}</span>
        {readings.map(({ label, text }, index) => (
          <span key={label} className={`reading series-${index + 1}`}>
            {label} <strong>{text}</strong>
          </span>
        ))}
      </figcaption>
      <div ref={ref} className="chart-area">
        {width > 0 && (
          <ChartMarks
            chart={chart}
            slots={slots}
            quantity={quantityOf(units[chart.series[0]!.measure.field])}
            width={width}
            selected={selected}
            onSelect={setSelected}
          />
        )}
      </div>
      <label className="visually-hidden" htmlFor={sliderId}>
        Day to read out
      </label>
      <input
        id={sliderId}
        className="day-slider"
        type="range"
        min={0}
        max={windowDays - 1}
        value={selected}
        aria-valuetext={spoken}
        onChange={({ target }) => setSelected(target.valueAsNumber)}
      />
    </figure>
  )
}
