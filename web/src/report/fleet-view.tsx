import { hrefOf } from '../use-address.ts'
import { shortDay } from './day.ts'
import { numberText, quantityOf, quantityText } from './quantity.ts'
import type { FleetReport } from './report-kind.ts'

const count = quantityOf('count')
const steps = 5

export function FleetView({ report, isStale }: { report: FleetReport; isStale: boolean }) {
  const { data, rows, units } = report
  const rate = quantityOf(units.error_rate)
  const weeks = [...new Set(rows.map(({ week }) => week))].sort().reverse()
  const groups = Map.groupBy(rows, ({ model, firmware_version }) => `${model} ${firmware_version}`)
  // Where it is worst now comes first; groups that sent nothing this week come last.
  const [now] = weeks
  const rateNow = (group: FleetReport['rows']) => group.find(({ week }) => week === now)?.error_rate ?? -1
  const worstFirst = [...groups].sort(([, one], [, other]) => rateNow(other) - rateNow(one))
  const highest = Math.max(...rows.map((row) => row.error_rate), 0)
  return (
    <div className={isStale ? 'report stale' : 'report'} aria-busy={isStale} data-testid="fleet">
      <hgroup className="greeting">
        <h1>The fleet</h1>
        <p>
          Seven days up to {shortDay(report.date)}: {numberText(data.prostheses, count, 0)} prostheses,{' '}
          {numberText(data.events, count, 0)} events, error rate{' '}
          {data.error_rate === null ? 'unknown' : quantityText(data.error_rate, rate, 2)}
        </p>
      </hgroup>
      <WorstDevices report={report} />
      <article className="card">
        <header className="card-head">
          <h2 id="fleet-weeks">Error rate by model, firmware and week</h2>
          <p className="fine-print">
            Weeks begin on the day shown, newest first; sorted by the newest, worst first; “–”: no events
          </p>
        </header>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard (WCAG 2.1.1) */}
        <section className="scroller flat tall" tabIndex={0} aria-labelledby="fleet-weeks">
          <table className="fleet-table">
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col">Firmware</th>
                {weeks.map((week) => (
                  <th scope="col" key={week}>
                    {shortDay(week)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {worstFirst.map(([key, group]) => (
                <tr key={key}>
                  <th scope="row">{group[0]!.model}</th>
                  <td className="code">{group[0]!.firmware_version}</td>
                  {weeks.map((week) => {
                    const cell = group.find((row) => row.week === week)
                    if (!cell) return <td key={week}>–</td>
                    const step = highest > 0 ? Math.ceil((cell.error_rate / highest) * steps) : 0
                    return (
                      <td
                        key={week}
                        className={`heat heat-${step}`}
                        title={`${numberText(cell.prostheses, count, 0)} prostheses, ${numberText(cell.errors, count, 0)} errors in ${numberText(cell.events, count, 0)} events`}
                      >
                        {quantityText(cell.error_rate, rate, 1)}
                      </td>
                    )
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </article>
    </div>
  )
}

function WorstDevices({ report }: { report: FleetReport }) {
  const rate = quantityOf(report.units.error_rate)
  return (
    <article className="card">
      <header className="card-head">
        <h2 id="worst-devices">Devices to look at</h2>
        <p className="fine-print">Highest error rates of the seven days, from 100 events on</p>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard (WCAG 2.1.1) */}
      <section className="scroller flat" tabIndex={0} aria-labelledby="worst-devices">
        <table className="fleet-table">
          <thead>
            <tr>
              <th scope="col">Serial</th>
              <th scope="col">Model</th>
              <th scope="col">Firmware</th>
              <th scope="col">Events</th>
              <th scope="col">Errors</th>
              <th scope="col">Error rate</th>
            </tr>
          </thead>
          <tbody>
            {report.data.worst_devices.map((device) => (
              <tr key={device.prosthesis_id} data-testid="worst-device">
                <th scope="row">
                  <a
                    className="code"
                    href={hrefOf({ view: 'trend', date: report.date, userId: device.user_id })}
                  >
                    {device.serial_number}
                  </a>
                </th>
                <td>{device.model}</td>
                <td className="code">{device.firmware_version}</td>
                <td>{numberText(device.events, count, 0)}</td>
                <td>{numberText(device.errors, count, 0)}</td>
                <td>{quantityText(device.error_rate, rate, 2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </article>
  )
}
