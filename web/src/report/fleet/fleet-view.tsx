import { hrefOf } from '../../use-address.ts'
import { dayOfYear } from '../day.ts'
import { columnText, numberText, quantityOf, quantityText } from '../quantity.ts'
import type { FleetReport } from '../report-kind.ts'
import { FleetTable } from './fleet-table.tsx'

const count = quantityOf('count')

type FleetViewProps = {
  report: FleetReport
  isStale: boolean
  /** Whether its day was over wherever customers live when the device data were processed last. */
  isOver: boolean
}

export function FleetView({ report, isStale, isOver }: FleetViewProps) {
  const { date, data, units } = report
  const rate = quantityOf(units.error_rate)
  return (
    <div className={isStale ? 'report stale' : 'report'} aria-busy={isStale} data-testid="fleet">
      <hgroup className="greeting">
        <h1>The fleet</h1>
        <p>
          Seven days up to {dayOfYear(date)}: {numberText(data.prostheses, count, 0)} prostheses,{' '}
          {numberText(data.events, count, 0)} events, error rate{' '}
          {data.error_rate === null ? 'unknown' : quantityText(data.error_rate, rate, 2)}
        </p>
        {!isOver && (
          <p data-testid="unfinished-day">
            The last of these days has not ended everywhere yet, or its device data are not complete: these
            are the numbers so far.
          </p>
        )}
      </hgroup>
      <WorstDevices report={report} />
      <FleetTable report={report} isOver={isOver} />
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
              <th scope="col" className="text">
                Model
              </th>
              <th scope="col">Error rate</th>
              <th scope="col">Errors</th>
              <th scope="col">Events</th>
              <th scope="col">Firmware</th>
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
                <td className="text">{device.model}</td>
                <td>{columnText(device.error_rate, rate, 2)}</td>
                <td>{numberText(device.errors, count, 0)}</td>
                <td>{numberText(device.events, count, 0)}</td>
                <td className="code">{device.firmware_version}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </article>
  )
}
