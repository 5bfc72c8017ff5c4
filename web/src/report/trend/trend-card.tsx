import type { prosthesisIdentity } from '@tendon/contracts/prosthesis-daily.ts'
import { useState } from 'react'
import type { z } from 'zod'
import { SeriesChart } from '../chart/series-chart.tsx'
import { daysUntil } from '../day.ts'
import { measures } from '../measures.ts'
import { ProsthesisHead } from '../prosthesis-head.tsx'
import { quantityOf } from '../quantity.ts'
import type { TrendReport } from '../report-kind.ts'

const fields = ['active_minutes', 'response_time_avg_ms', 'error_rate', 'battery_avg_percent'] as const
const shown = fields.map((field) => measures.find((measure) => measure.field === field)!)

type TrendCardProps = {
  prosthesis: z.infer<typeof prosthesisIdentity>
  report: TrendReport
  isOwn: boolean
  windowDays: number
  isOver: boolean
}

/** One number of a prosthesis at a time, as a line beside its model's. */
export function TrendCard({ prosthesis, report, isOwn, windowDays, isOver }: TrendCardProps) {
  const [measure, setMeasure] = useState(shown[0]!)
  const { prosthesis_id: id } = prosthesis
  const field = measure.field as (typeof fields)[number]
  const byDay = new Map(report.rows.filter((row) => row.prosthesis_id === id).map((row) => [row.day, row]))
  const slots = daysUntil(report.date, windowDays).map((day) => {
    const row = byDay.get(day)
    return { day, values: [row?.[field] ?? null, row?.[`model_${field}`] ?? null] }
  })
  const others = Math.max(0, ...[...byDay.values()].map((row) => row.model_prostheses))
  return (
    <article className="card" aria-labelledby={`model-${id}`} data-testid="trend-card">
      <ProsthesisHead prosthesis={prosthesis} />
      <div className="card-body single">
        <fieldset className="choice">
          <legend className="visually-hidden">What the chart shows</legend>
          {shown.map((option) => (
            <label key={option.field}>
              <input
                type="radio"
                name={`trend-${id}`}
                checked={option === measure}
                onChange={() => setMeasure(option)}
              />
              <span>{option.label}</span>
            </label>
          ))}
        </fieldset>
        {byDay.size === 0 ? (
          <p className="no-day">This prosthesis sent nothing in these {windowDays} days.</p>
        ) : (
          <SeriesChart
            key={`${report.date} ${windowDays} ${field}`}
            shape="lines"
            series={[
              { label: isOwn ? 'yours' : 'theirs', digits: measure.digits },
              { label: `median of up to ${others}`, digits: measure.digits },
            ]}
            slots={slots}
            unfinishedDay={isOver ? null : report.date}
            quantity={quantityOf(report.units[field])}
          />
        )}
      </div>
    </article>
  )
}
