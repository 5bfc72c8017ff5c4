import type { ProsthesisDay } from '@tendon/contracts/prosthesis-daily.ts'
import { shortDay } from '../day.ts'
import { measures } from '../measures.ts'
import { numberText, quantityOf } from '../quantity.ts'

type HistoryTableProps = {
  /** Ids of the headings that name the table. */
  labelledBy: string
  days: ProsthesisDay[]
  units: Record<string, string>
  unfinishedDay: string | null
}

/** Every number behind the charts, newest day first. */
export function HistoryTable({ labelledBy, days, units, unfinishedDay }: HistoryTableProps) {
  return (
    <details className="history-table">
      <summary>Show all 30 days as a table</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard (WCAG 2.1.1) */}
      <section className="scroller" tabIndex={0} aria-labelledby={labelledBy}>
        <table>
          <thead>
            <tr>
              <th scope="col">Day</th>
              {measures.map(({ field, label }) => {
                const { suffix } = quantityOf(units[field])
                return (
                  <th scope="col" key={field}>
                    {label}
                    {suffix && <span className="unit"> ({suffix})</span>}
                  </th>
                )
              })}
            </tr>
          </thead>
          <tbody>
            {days.toReversed().map((day) => (
              <tr key={day.day}>
                <th scope="row">
                  <time dateTime={day.day}>{shortDay(day.day)}</time>
                  {day.day === unfinishedDay && ' so far'}
                </th>
                {measures.map(({ field, digits }) => {
                  const value = day[field]
                  return (
                    <td key={field}>
                      {value === null ? '–' : numberText(value, quantityOf(units[field]), digits)}
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  )
}
