import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { useState } from 'react'
import { HistoryChart } from './history-chart.tsx'
import { HistoryTable } from './history-table.tsx'
import { charts } from './measures.ts'

type HistoryProps = { id: string; date: string; days: ProsthesisDay[]; units: Record<string, string> }

/** The last 30 days: a chart of one subject at a time, and all of it as a table. */
export function History({ id, date, days, units }: HistoryProps) {
  const [chart, setChart] = useState(charts[0]!)
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
      <HistoryChart key={`${date} ${chart.id}`} chart={chart} date={date} days={days} units={units} />
      <HistoryTable labelledBy={`history-${id} model-${id}`} days={days} units={units} />
    </div>
  )
}
