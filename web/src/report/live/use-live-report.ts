import { useRef, useState } from 'react'
import { getReport, getReportLink, problemOf, type ReportQuery } from '../../api.ts'
import { usePolling } from '../../use-polling.ts'
import type { ReportKind } from '../report-kind.ts'
import {
  type LiveReport,
  nothingYet,
  objectPath,
  type ShownReport,
  withFailure,
  withLink,
  withReport,
} from './live-report.ts'
import type { ReportEvents } from './use-report-events.ts'

/** Without events, so soon is a change seen. With them, only how current the data is moves meanwhile. */
const intervalsMs = { alone: 2_000, withEvents: 15_000 }

/**
 * A report, kept up to date: asks where it lies and reads it when it lies elsewhere than before; at once when an event
 * says that it was made anew.
 * @param options.date null as long as it is not known which day to show
 */
export function useLiveReport<Report extends ShownReport>(options: {
  kind: ReportKind<Report>
  query: Omit<ReportQuery, 'name' | 'date'>
  date: string | null
  events: ReportEvents
  onSessionEnd: () => void
}): LiveReport<Report> & { retry: () => void } {
  const { kind, date, query, events, onSessionEnd } = options
  const [live, setLive] = useState<LiveReport<Report>>(nothingYet)
  const [attempt, setAttempt] = useState(0)
  const shownPath = useRef<string | null>(null)

  usePolling({
    subject: date && JSON.stringify([date, query, attempt]),
    changes: events.changes,
    intervalMs: events.isConnected ? intervalsMs.withEvents : intervalsMs.alone,
    task: async (signal, isBackground) => {
      const link = await getReportLink({ ...query, name: kind.name, date: date! }, { signal, isBackground })
      const path = objectPath(link.url)
      if (path !== shownPath.current) {
        const report = await getReport(link.url, kind.schema, signal)
        shownPath.current = path
        setLive((before) => withReport(before, report, Date.now()))
      }
      setLive((before) => withLink(before, link))
    },
    onError: (error) => {
      const problem = problemOf(error)
      if (problem.status === 401) onSessionEnd()
      shownPath.current = null
      setLive((before) => withFailure(before, date!, problem))
    },
  })
  return { ...live, retry: () => setAttempt(attempt + 1) }
}
