/** What polling needs of a document: whether anyone can see it, and an event when that changes. */
export type Page = Pick<Document, 'hidden' | 'addEventListener' | 'removeEventListener'>

/**
 * Twice as long after each failure, from this on, whatever the interval is. The longest is what a page may be late when all
 * is well again; a thousand pages then ask 170 times a second, and are answered by what is down and costs nothing.
 */
const firstRetryDelayMs = 2_000
const longestRetryDelayMs = 8_000

/**
 * Runs a task at once and then at an interval for as long as the page is visible; coming back to the page
 * runs it without waiting. After failures it waits longer each time.
 * @param task is told whether it runs by itself, rather than because a person began it or came back to the page
 * @param isBackground whether that is so of the first run already
 * @param onError is told of each failure and says how long the service asked to be left alone, in ms
 */
export async function pollWhileVisible(options: {
  task: (signal: AbortSignal, isBackground: boolean) => Promise<void>
  isBackground: boolean
  onError: (error: unknown) => number
  intervalMs: number
  page: Page
  signal: AbortSignal
}): Promise<void> {
  const { task, onError, intervalMs, page, signal } = options
  let { isBackground } = options
  let failures = 0
  while (!signal.aborted) {
    let pauseMs = intervalMs
    if (!page.hidden) {
      try {
        await task(signal, isBackground)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        pauseMs = Math.max(onError(error), retryDelayMs(failures, Math.random()))
      }
    }
    const isSeenAgain = await pause(page.hidden ? Number.POSITIVE_INFINITY : pauseMs, page, signal)
    isBackground = !isSeenAgain
  }
}

/**
 * How long to wait after a number of failures in a row: twice as long each time up to 8 s, spread over the upper
 * half so that a thousand pages do not return in the same moment.
 * @param random in [0, 1)
 */
export function retryDelayMs(failures: number, random: number): number {
  const ceilingMs = Math.min(firstRetryDelayMs * 2 ** failures, longestRetryDelayMs)
  return ceilingMs * (0.5 + random / 2)
}

/** Ends after a time, when the page becomes visible (true), or when the signal aborts. */
function pause(durationMs: number, page: Page, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const endInTime = () => end(false)
    const timer = Number.isFinite(durationMs) ? setTimeout(endInTime, durationMs) : undefined
    function end(isSeenAgain: boolean) {
      clearTimeout(timer)
      page.removeEventListener('visibilitychange', endWhenVisible)
      signal.removeEventListener('abort', endInTime)
      resolve(isSeenAgain)
    }
    function endWhenVisible() {
      if (!page.hidden) end(true)
    }
    page.addEventListener('visibilitychange', endWhenVisible)
    signal.addEventListener('abort', endInTime)
    if (signal.aborted) endInTime()
  })
}
