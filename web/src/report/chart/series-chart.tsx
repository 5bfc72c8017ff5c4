import { useId, useState } from 'react'
import { shortDay } from '../day.ts'
import { type Quantity, quantityText } from '../quantity.ts'
import { ChartMarks, type Slot } from './chart-marks.tsx'
import { useElementWidth } from './use-element-width.ts'

type SeriesChartProps = {
  shape: 'bars' | 'lines'
  /** Up to two, in the order of each slot's values. */
  series: { label: string; digits: number }[]
  slots: Slot[]
  /** The last one, as long as it goes on. */
  unfinishedDay: string | null
  quantity: Quantity
}

/** A chart over days with a slider under it that reads out one day at a time, by pointer, touch or keyboard. */
export function SeriesChart({ shape, series, slots, unfinishedDay, quantity }: SeriesChartProps) {
  const [selected, setSelected] = useState(slots.length - 1)
  const [ref, width] = useElementWidth<HTMLDivElement>()
  const sliderId = useId()

  const shown = slots[selected]!
  const readings = series.map(({ label, digits }, index) => {
    const value = shown.values[index] ?? null
    return { label, text: value === null ? 'no data' : quantityText(value, quantity, digits) }
  })
  const shownDay = shortDay(shown.day) + (shown.day === unfinishedDay ? ' so far' : '')
  const spoken = `${shownDay}: ${readings.map(({ label, text }) => `${label} ${text}`).join(', ')}`

  return (
    <figure className="chart">
      <figcaption>
        <span className="chart-day">{shownDay}</span>
        {readings.map(({ label, text }, index) => (
          <span key={label} className={`reading series-${index + 1}`}>
            {label} <strong>{text}</strong>
          </span>
        ))}
      </figcaption>
      <div ref={ref} className="chart-area">
        {width > 0 && (
          <ChartMarks
            shape={shape}
            seriesCount={series.length}
            slots={slots}
            unfinishedDay={unfinishedDay}
            quantity={quantity}
            width={width}
            selected={selected}
            onSelect={setSelected}
          />
        )}
      </div>
      <label className="slider-label fine-print" htmlFor={sliderId}>
        Day to read out
      </label>
      <input
        id={sliderId}
        className="day-slider"
        type="range"
        min={0}
        max={slots.length - 1}
        value={selected}
        aria-valuetext={spoken}
        onChange={({ target }) => setSelected(target.valueAsNumber)}
      />
    </figure>
  )
}
