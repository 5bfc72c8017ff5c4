import { dayOfYear } from '../day.ts'
import { LiveText } from '../live/live-text.tsx'
import type { HistoryReport } from '../report-kind.ts'
import { clockOf } from './zoned-time.ts'

type Row = HistoryReport['rows'][number]

const labels: Record<string, string> = {
  firmware_version: 'Firmware',
  model: 'Model',
  model_name: 'Name of the model',
  side: 'Side',
  serial_number: 'Serial number',
  chip_id: 'Chip',
  issued_at: 'Issued on',
  returned_at: 'Given back on',
}

type HistoryListProps = { report: HistoryReport; isOwn: boolean; isStale: boolean }

/** The changes, newest first, one entry for each moment and prosthesis. */
export function HistoryList({ report, isOwn, isStale }: HistoryListProps) {
  const { data, rows } = report
  const models = new Map(data.prostheses.map((prosthesis) => [prosthesis.prosthesis_id, prosthesis.model]))
  const { zone, read } = clockOf(data.customer.time_zone)
  const moments = Map.groupBy(rows, (row) => `${row.changed_at} ${row.prosthesis_id}`)
  return (
    <div className={isStale ? 'report stale' : 'report'} aria-busy={isStale} data-testid="history">
      <hgroup className="greeting">
        <h1>
          Service history
          {!isOwn && (
            <>
              {' '}
              of <LiveText text={data.customer.full_name} testId="customer-name" />
            </>
          )}
        </h1>
        <p>
          What was recorded of {isOwn ? 'your' : "the customer's"} prostheses and when: model, serial number,
          chip, side, firmware, settings, and the days of issue and return. Times are those of {zone}.
        </p>
        {data.prostheses.map(({ prosthesis_id, model, serial_number, issued_at, returned_at }) => (
          <p key={prosthesis_id}>
            {model} <span className="code">{serial_number}</span>: issued on {dayOfYear(issued_at)}
            {returned_at && `, given back on ${dayOfYear(returned_at)}`}
          </p>
        ))}
      </hgroup>
      {rows.length === 0 && <p className="no-day">Nothing was recorded up to this day.</p>}
      <ol className="timeline">
        {[...moments].map(([key, changes]) => {
          const { changed_at: at, prosthesis_id: id, serial_number: serial } = changes[0]!
          const { day, time } = read(at)
          return (
            <li key={key} data-testid="history-entry">
              <p className="moment">
                <time dateTime={at}>
                  {day} <span>{time}</span>
                </time>
                <span>
                  {models.get(id) ?? 'A former prosthesis'} <span className="code">{serial}</span>
                </span>
              </p>
              <ul>
                {changes.map((change) => (
                  <li key={change.field}>
                    <Change change={change} isOwn={isOwn} />
                  </li>
                ))}
              </ul>
            </li>
          )
        })}
      </ol>
      {data.is_cut && <p className="no-day">Older changes are not shown.</p>}
    </div>
  )
}

function Change({ change, isOwn }: { change: Row; isOwn: boolean }) {
  if (change.change === 'recorded') return 'First recorded'
  if (change.change === 'removed') return `No longer recorded for ${isOwn ? 'you' : 'this customer'}`
  const field = change.field ?? ''
  const setting = /^settings\.(.+)$/.exec(field)?.[1]
  return (
    <>
      {setting ? `Setting “${setting.replaceAll('_', ' ')}”` : (labels[field] ?? field)}{' '}
      {change.before === null ? 'not set' : <del>{change.before}</del>} <span aria-hidden="true">→</span>{' '}
      <ins>{change.after ?? 'not set'}</ins>
    </>
  )
}
