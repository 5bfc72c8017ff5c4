import type { Problem } from '@tendon/contracts/problem.ts'
import { useState } from 'react'
import { getReportList, problemOf } from '../api.ts'
import { usePolling } from '../use-polling.ts'
import type { DayBounds } from './day.ts'

/** `latest` is the day to open on. `problem`: the days are not known, and why. */
export type ReportDays = DayBounds & { latest: string | null; isKnown: boolean; problem: Problem | null }

/** A new day begins once a day, but nobody should have to reload for it. */
const intervalMs = 60_000

const unknown: ReportDays = { from: null, to: null, latest: null, isKnown: false, problem: null }

/** For which days there is such a report. While that is not known, the day asked for is tried without bounds. */
export function useReportDays(
  name: string,
  userId: string | null,
  onSessionEnd: () => void,
): ReportDays & { retry: () => void } {
  const [days, setDays] = useState(unknown)
  const [attempt, setAttempt] = useState(0)
  usePolling({
    subject: `attempt ${attempt}`,
    intervalMs,
    task: async (signal, isBackground) => {
      const { reports } = await getReportList(userId, { signal, isBackground })
      const listed = reports.find((report) => report.name === name)
      const { from = null, to = null, latest_date: latest = null } = listed ?? {}
      setDays({ from, to, latest, isKnown: true, problem: null })
    },
    onError: (error) => {
      const problem = problemOf(error)
      if (problem.status === 401) onSessionEnd()
      setDays((before) => ({ ...before, problem }))
    },
  })
  return { ...days, retry: () => setAttempt(attempt + 1) }
}
