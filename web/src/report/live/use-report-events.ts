import { useEffect, useEffectEvent, useState } from 'react'
import { getSession, problemOf } from '../../api.ts'

/** How often reports were said to be made anew, and whether that would be heard now. */
export type ReportEvents = { changes: number; isConnected: boolean }

/** For what has no events. */
export const noEvents: ReportEvents = { changes: 0, isConnected: false }

/** After an answer that is no stream, which an EventSource does not try again. */
const reopenMs = 10_000

/**
 * Hears when the reports of whoever is signed in, or for staff of this customer, are made anew. A lost connection comes
 * back by itself and then says whether anything was missed (`Last-Event-ID`).
 */
export function useReportEvents(userId: string | null, onSessionEnd: () => void): ReportEvents {
  const [events, setEvents] = useState(noEvents)
  // Why it was refused an EventSource does not say.
  const askSession = useEffectEvent((signal: AbortSignal) => {
    getSession({ signal, isBackground: true }).catch((error) => {
      if (!signal.aborted && problemOf(error).status === 401) onSessionEnd()
    })
  })
  useEffect(() => {
    let source: EventSource
    let reopening: number | undefined
    const leaving = new AbortController()
    const setConnected = (isConnected: boolean) => setEvents((before) => ({ ...before, isConnected }))

    function open() {
      source = new EventSource(`/api/events${userId ? `?${new URLSearchParams({ user_id: userId })}` : ''}`)
      source.addEventListener('open', () => setConnected(true))
      source.addEventListener('invalidated', () =>
        setEvents(({ changes }) => ({ changes: changes + 1, isConnected: true })),
      )
      source.addEventListener('error', () => {
        setConnected(false)
        if (source.readyState !== EventSource.CLOSED) return
        askSession(leaving.signal)
        reopening = window.setTimeout(open, reopenMs)
      })
    }
    open()
    return () => {
      leaving.abort()
      clearTimeout(reopening)
      source.close()
    }
  }, [userId])
  return events
}
