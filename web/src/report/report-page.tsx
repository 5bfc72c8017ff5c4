import { Notice } from '../notice.tsx'
import { AboutData } from './about-data.tsx'
import { DatePicker } from './date-picker.tsx'
import { isOutside } from './day.ts'
import { EmptyDay } from './empty-day.tsx'
import { FreshnessLine } from './freshness-line.tsx'
import { ReportView } from './report-view.tsx'
import { useLiveReport } from './use-live-report.ts'
import { useReportDays } from './use-report-days.ts'

type ReportPageProps = {
  /** Whose report, when staff ask; null for one's own. */
  userId: string | null
  /** The day from the address; null for the newest. */
  date: string | null
  onDate: (date: string) => void
  onSessionEnd: () => void
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })

export function ReportPage({ userId, date: askedDate, onDate, onSessionEnd }: ReportPageProps) {
  const days = useReportDays(userId, onSessionEnd)
  const date = askedDate ?? days.latest
  const live = useLiveReport({ date, userId, onSessionEnd })
  const { report, freshness, generatedAt, changedAtMs } = live
  const problem = live.failure?.date === date ? live.failure.problem : null
  const isShown = report !== null && (problem === null || report.date === date)
  const isNewestUnknown = date === null && days.problem !== null

  return (
    <>
      {date && (
        <div className="toolbar">
          <DatePicker date={date} bounds={days} onDate={onDate} />
          {isShown && freshness && (
            <FreshnessLine freshness={freshness} generatedAt={generatedAt} isLive={!problem} />
          )}
        </div>
      )}
      <p className="visually-hidden" role="status" data-testid="announcement">
        {changedAtMs && `Report updated at ${clockFormat.format(changedAtMs)}`}
      </p>
      {isShown ? (
        <ReportView
          report={report}
          isOwn={userId === null}
          isStale={report.date !== date}
          days={days}
          onDate={onDate}
        />
      ) : (
        content()
      )}
      {isShown && <AboutData report={report} freshness={freshness} />}
    </>
  )

  function content() {
    // Staff may have mistyped the customer: they are told what is not found. A patient's own report is only not there yet.
    const isEmpty = problem?.status === 404 && userId === null
    if (isEmpty || (problem?.status === 400 && isOutside(date!, days))) {
      return <EmptyDay date={date} days={days} onDate={onDate} />
    }
    if (problem) return <Notice problem={problem} onRetry={live.retry} />
    if (isNewestUnknown) return <Notice problem={days.problem!} onRetry={days.retry} />
    if (days.isKnown && !date) return <EmptyDay date={null} days={days} onDate={onDate} />
    return (
      <p className="loading" role="status">
        Reading the report…
      </p>
    )
  }
}
