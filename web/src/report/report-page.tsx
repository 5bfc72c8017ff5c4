import { type ReactNode, useState } from 'react'
import { Notice } from '../notice.tsx'
import { DatePicker } from './date-picker.tsx'
import { dayAt, isOutside } from './day.ts'
import { Downloads } from './downloads.tsx'
import { EmptyDay } from './empty-day.tsx'
import { FreshnessLine } from './live/freshness-line.tsx'
import type { LiveReport, ShownReport } from './live/live-report.ts'
import { useLiveReport } from './live/use-live-report.ts'
import type { ReportEvents } from './live/use-report-events.ts'
import type { ReportKind } from './report-kind.ts'
import { type ReportDays, useReportDays } from './use-report-days.ts'

type ReportPageProps<Report extends ShownReport> = {
  kind: ReportKind<Report>
  /** Whose report, when staff ask; null for one's own, and for one of everybody. */
  userId: string | null
  /** The day from the address; null for the first one to show. */
  date: string | null
  chosen?: Record<string, string>
  events: ReportEvents
  onDate: (date: string) => void
  onSessionEnd: () => void
  /** What is shown of it. */
  children: (shown: {
    report: Report
    freshness: LiveReport<Report>['freshness']
    /** Another report is on its way: these numbers are not of what was asked for. */
    isStale: boolean
    days: ReportDays
  }) => ReactNode
}

const clockFormat = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const nothingChosen = {}

/** What every report's page has around the report: its day, how old the data is, and what to say when there is none. */
export function ReportPage<Report extends ShownReport>(props: ReportPageProps<Report>) {
  const { kind, userId, date: askedDate, chosen = nothingChosen, events, onDate, onSessionEnd } = props
  const days = useReportDays(kind.name, userId, onSessionEnd)
  const [readersToday] = useState(() => dayAt(Date.now(), undefined))
  // Where the customer lives it may be the day after, and something may have happened on it.
  const today = days.to !== null && days.to > readersToday ? days.to : readersToday
  // Of a customer whom staff named and who has no day with data, the answer for today says whether there is such a customer.
  const isTodayAsked = kind.firstDay === 'today' || (userId !== null && days.isKnown && days.latest === null)
  const date = askedDate ?? (isTodayAsked ? today : days.latest)
  const live = useLiveReport({ kind, query: { userId, chosen }, date, events, onSessionEnd })
  const { report, freshness, generatedAt, changedAtMs } = live
  const problem = live.failure?.date === date ? live.failure.problem : null
  const isShown = report !== null && (problem === null || report.date === date)
  const isNewestUnknown = date === null && days.problem !== null
  const bounds = kind.firstDay === 'today' ? { from: days.from, to: today } : days

  return (
    <>
      {date && (
        <div className="toolbar">
          <DatePicker date={date} bounds={bounds} onDate={onDate} />
          {isShown && freshness && (
            <FreshnessLine
              freshness={freshness}
              generatedAt={generatedAt}
              isLive={!problem}
              madeAnew={kind.madeAnew}
            />
          )}
        </div>
      )}
      <p className="visually-hidden" role="status" data-testid="announcement">
        {changedAtMs && `Report updated at ${clockFormat.format(changedAtMs)}`}
      </p>
      {isShown ? props.children({ report, freshness, isStale: isStale(report), days }) : content()}
      {isShown && date && kind.hasNumbers(report) && (
        <Downloads query={{ name: kind.name, date, userId, chosen }} />
      )}
    </>
  )

  function isStale(shown: Report): boolean {
    return (
      shown.date !== date || Object.entries(chosen).some(([name, value]) => shown.parameters[name] !== value)
    )
  }

  function content() {
    // Staff may have mistyped the customer: they are told what is not found. A patient's own report is only not there yet.
    const isEmpty = problem?.status === 404 && userId === null
    if (isEmpty || (problem?.status === 400 && isOutside(date!, bounds))) {
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
