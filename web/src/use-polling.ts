import { useEffect, useEffectEvent, useRef } from 'react'
import { ApiError } from './api.ts'
import { pollWhileVisible } from './polling.ts'

/**
 * Runs a task now and at an interval while the page is visible; starts anew when `subject` or `changes` moves,
 * and never while `subject` is null.
 * @param subject what a person asked about, as text; the task's signal aborts when it changes
 * @param changes counts what the page was told of meanwhile, without anybody asking
 * @param task is told whether it runs by itself (see `pollWhileVisible`)
 */
export function usePolling(options: {
  subject: string | null
  changes?: number
  intervalMs: number
  task: (signal: AbortSignal, isBackground: boolean) => Promise<void>
  onError: (error: unknown) => void
}): void {
  const { subject, changes, intervalMs } = options
  const task = useEffectEvent(options.task)
  const onError = useEffectEvent(options.onError)
  const begun = useRef<string | null>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a change is a reason to run again
  useEffect(() => {
    if (subject === null) return
    const controller = new AbortController()
    void pollWhileVisible({
      task: (signal, isBackground) => task(signal, isBackground),
      isBackground: begun.current === subject,
      onError: (error) => {
        onError(error)
        return error instanceof ApiError ? error.retryAfterMs : 0
      },
      intervalMs,
      page: document,
      signal: controller.signal,
    })
    begun.current = subject
    return () => controller.abort()
  }, [subject, changes, intervalMs])
}
