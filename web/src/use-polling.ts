import { useEffect, useEffectEvent } from 'react'
import { ApiError } from './api.ts'
import { pollWhileVisible } from './polling.ts'

/**
 * Runs a task now and at an interval while the page is visible; starts anew when `subject` changes,
 * and never while it is null.
 * @param subject what the task is about, as text; the task's signal aborts when it changes
 */
export function usePolling(options: {
  subject: string | null
  intervalMs: number
  task: (signal: AbortSignal) => Promise<void>
  onError: (error: unknown) => void
}): void {
  const { subject, intervalMs } = options
  const task = useEffectEvent(options.task)
  const onError = useEffectEvent(options.onError)
  useEffect(() => {
    if (subject === null) return
    const controller = new AbortController()
    void pollWhileVisible({
      task: (signal) => task(signal),
      onError: (error) => {
        onError(error)
        return error instanceof ApiError ? error.retryAfterMs : 0
      },
      intervalMs,
      page: document,
      signal: controller.signal,
    })
    return () => controller.abort()
  }, [subject, intervalMs])
}
