import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { useState } from 'react'
import { SeriesChart } from '../chart/series-chart.tsx'
import { daysUntil } from '../day.ts'
import { charts } from '../measures.ts'
import { quantityOf } from '../quantity.ts'
import { HistoryTable } from './history-table.tsx'

const windowDays = 30

type HistoryProps = {
  id: string
  date: string
  days: ProsthesisDay[]
  units: Record<string, string>
  isOver: boolean
}

/** The last 30 days: a chart of one subject at a time, and all of it as a table. */
export function History({ id, date, days, units, isOver }: HistoryProps) {
  const [chart, setChart] = useState(charts[0]!)
  const unfinishedDay = isOver ? null : date
  const byDay = new Map(days.map((day) => [day.day, day]))
  const slots = daysUntil(date, windowDays).map((day) => ({
    day,
    values: chart.series.map(({ measure }) => byDay.get(day)?.[measure.field] ?? null),
  }))
  return (
    <div className="history">
      <h3 id={`history-${id}`}>Last 30 days</h3>
      <fieldset className="choice">
        <legend className="visually-hidden">What the chart shows</legend>
        {charts.map((option) => (
          <label key={option.id}>
            <input
              type="radio"
              name={`chart-${id}`}
              checked={option === chart}
              onChange={() => setChart(option)}
            />
            <span>{option.label}</span>
          </label>
        ))}
      </fieldset>
      <SeriesChart
        key={`${date} ${chart.id}`}
        shape={chart.shape}
        series={chart.series.map(({ label, measure }) => ({ label, digits: measure.digits }))}
        slots={slots}
        unfinishedDay={unfinishedDay}
        quantity={quantityOf(units[chart.series[0]!.measure.field])}
      />
      <HistoryTable
        labelledBy={`history-${id} model-${id}`}
        days={days}
        units={units}
        unfinishedDay={unfinishedDay}
      />
    </div>
  )
}
