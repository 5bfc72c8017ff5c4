/** What polling needs of a document: whether anyone can see it, and an event when that changes. */
export type Page = Pick<Document, 'hidden' | 'addEventListener' | 'removeEventListener'>

const longestRetryDelayMs = 30_000

/**
 * Runs a task at once and then at an interval for as long as the page is visible; coming back to the page
 * runs it without waiting. After failures it waits longer each time.
 * @param onError is told of each failure and says how long the service asked to be left alone, in ms
 */
export async function pollWhileVisible(options: {
  task: (signal: AbortSignal) => Promise<void>
  onError: (error: unknown) => number
  intervalMs: number
  page: Page
  signal: AbortSignal
}): Promise<void> {
  const { task, onError, intervalMs, page, signal } = options
  let failures = 0
  while (!signal.aborted) {
    let pauseMs = intervalMs
    if (!page.hidden) {
      try {
        await task(signal)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        pauseMs = Math.max(onError(error), retryDelayMs(failures, intervalMs, Math.random()))
      }
    }
    await pause(page.hidden ? Number.POSITIVE_INFINITY : pauseMs, page, signal)
  }
}

/**
 * How long to wait after a number of failures in a row: twice as long each time up to 30 s, spread over the upper
 * half so that a thousand pages do not return in the same moment.
 * @param random in [0, 1)
 */
export function retryDelayMs(failures: number, intervalMs: number, random: number): number {
  const ceilingMs = Math.min(intervalMs * 2 ** failures, longestRetryDelayMs)
  return ceilingMs * (0.5 + random / 2)
}

/** Ends after a time, when the page becomes visible, or when the signal aborts. */
function pause(durationMs: number, page: Page, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = Number.isFinite(durationMs) ? setTimeout(end, durationMs) : undefined
    function end() {
      clearTimeout(timer)
      page.removeEventListener('visibilitychange', endWhenVisible)
      signal.removeEventListener('abort', end)
      resolve()
    }
    function endWhenVisible() {
      if (!page.hidden) end()
    }
    page.addEventListener('visibilitychange', endWhenVisible)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}
