import { useRef, useState } from 'react'
import { getReport, getReportLink, problemOf } from '../api.ts'
import { usePolling } from '../use-polling.ts'
import { type LiveReport, nothingYet, objectPath, withFailure, withLink, withReport } from './live-report.ts'

const intervalMs = 2_000

/**
 * The report of a day, kept up to date: asks where it lies and reads it when it lies elsewhere than before.
 * @param date null as long as it is not known which day to show
 */
export function useLiveReport(options: {
  date: string | null
  userId: string | null
  onSessionEnd: () => void
}): LiveReport & { retry: () => void } {
  const { date, userId, onSessionEnd } = options
  const [live, setLive] = useState(nothingYet)
  const [attempt, setAttempt] = useState(0)
  const shownPath = useRef<string | null>(null)

  usePolling({
    subject: date && `${date} ${attempt}`,
    intervalMs,
    task: async (signal) => {
      const link = await getReportLink(date!, userId, signal)
      const path = objectPath(link.url)
      if (path !== shownPath.current) {
        const report = await getReport(link.url, signal)
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
