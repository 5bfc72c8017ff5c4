import { useEffect } from 'react'
import { type DayBounds, longDay } from '../day.ts'
import { EmptyDay } from '../empty-day.tsx'
import { LiveText } from '../live/live-text.tsx'
import { dailyKind } from '../report-kind.ts'
import type { DailyReport } from './daily-view.ts'
import { ProsthesisCard } from './prosthesis-card.tsx'

type ReportViewProps = {
  report: DailyReport
  isOwn: boolean
  /** Another day is on its way: these numbers are not those of the day that was asked for. */
  isStale: boolean
  /** Whether its day was over when the device data were processed last. */
  isOver: boolean
  days: DayBounds & { latest: string | null }
  onDate: (date: string) => void
}

export function ReportView({ report, isOwn, isStale, isOver, days, onDate }: ReportViewProps) {
  const { date, data, units } = report
  const hasNumbers = dailyKind.hasNumbers(report)
  useEffect(() => {
    document.title = `${longDay(date)} · Tendon`
  }, [date])

  return (
    <div
      className={isStale ? 'report stale' : 'report'}
      aria-busy={isStale}
      data-testid="report"
      data-date={date}
    >
      <hgroup className="greeting">
        <h1>
          {isOwn ? 'Hello, ' : 'Report of '}
          <LiveText text={data.customer.full_name} testId="customer-name" />
        </h1>
        <p data-testid="report-day">{longDay(date)}</p>
        {!isOver && hasNumbers && (
          <p data-testid="unfinished-day">
            {isOwn ? 'Your device data' : 'Device data'} of this day are not complete yet: these are the
            numbers so far, not compared with whole days.
          </p>
        )}
      </hgroup>
      {!hasNumbers && <EmptyDay date={date} days={days} onDate={onDate} />}
      {data.prostheses.map((prosthesis) => (
        <ProsthesisCard
          key={`${prosthesis.prosthesis_id} ${date}`}
          prosthesis={prosthesis}
          date={date}
          units={units}
          isOver={isOver}
        />
      ))}
    </div>
  )
}
