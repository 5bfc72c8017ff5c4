import { shortDay } from '../day.ts'
import { columnText, numberText, quantityOf } from '../quantity.ts'
import type { FleetReport } from '../report-kind.ts'
import { fleetWeeks } from './fleet-weeks.ts'

const count = quantityOf('count')
const steps = 5

/** Error rates by group and week; the darker, the nearer to the highest one of whole weeks. */
export function FleetTable({ report, isOver }: { report: FleetReport; isOver: boolean }) {
  const { weeks, groups, highestRate } = fleetWeeks(report, { isOver })
  return (
    <article className="card">
      <header className="card-head">
        <h2 id="fleet-weeks">Error rate by model, firmware and week</h2>
        <p className="fine-print">
          Weeks begin on the day shown, newest first; sorted by the newest whole one, worst first; “–”: no
          events. Where nobody knows which firmware a device had then, the one that it has now stands for it.
        </p>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard (WCAG 2.1.1) */}
      <section className="scroller flat tall" tabIndex={0} aria-labelledby="fleet-weeks">
        <table className="fleet-table">
          <thead>
            <tr>
              <th scope="col">Model and firmware</th>
              {weeks.map(({ week, isWhole }) => (
                <th scope="col" key={week}>
                  <time dateTime={week}>{shortDay(week)}</time>
                  {!isWhole && ' so far'}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {groups.map(({ model, firmwareVersion, byWeek }) => (
              <tr key={`${model} ${firmwareVersion}`}>
                <th scope="row">
                  {model} <span className="code">{firmwareVersion}</span>
                </th>
                {weeks.map(({ week, isWhole }) => (
                  <RateCell
                    key={week}
                    row={byWeek.get(week)}
                    unit={report.units.error_rate}
                    highestRate={isWhole ? highestRate : null}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </article>
  )
}

/** `highestRate`: what it is compared with, null while its week goes on. */
function RateCell(props: {
  row: FleetReport['rows'][number] | undefined
  unit: string | undefined
  highestRate: number | null
}) {
  const { row, unit, highestRate } = props
  if (!row) return <td>–</td>
  const step = highestRate ? Math.ceil((row.error_rate / highestRate) * steps) : 0
  return (
    <td
      className={highestRate === null ? undefined : `heat heat-${step}`}
      title={`${numberText(row.prostheses, count, 0)} prostheses, ${numberText(row.errors, count, 0)} errors in ${numberText(row.events, count, 0)} events`}
    >
      {columnText(row.error_rate, quantityOf(unit), 1)}
    </td>
  )
}
