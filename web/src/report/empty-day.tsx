import { type DayBounds, longDay } from './day.ts'

type EmptyDayProps = {
  date: string | null
  days: DayBounds & { latest: string | null }
  onDate: (date: string) => void
}

/** Nothing to show for a day: says which days have data and leads there. */
export function EmptyDay({ date, days, onDate }: EmptyDayProps) {
  const { from, to, latest } = days
  return (
    <section className="notice" data-testid="empty-day">
      <h2>{date ? `No data for ${longDay(date)}` : 'No report yet'}</h2>
      {from && to ? (
        <p>
          There is data from <strong>{longDay(from)}</strong> to <strong>{longDay(to)}</strong>.
        </p>
      ) : (
        <p>The first report appears here by itself once a prosthesis has sent its first day of data.</p>
      )}
      {latest && latest !== date && (
        <button type="button" className="button" onClick={() => onDate(latest)}>
          Show the newest day
        </button>
      )}
    </section>
  )
}
