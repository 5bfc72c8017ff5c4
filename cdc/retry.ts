import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'

const firstPauseMs = 50
const longestPauseMs = 5_000

/** Pauses that double from attempt to attempt (0, 1, …), up to five seconds, a random half of each. */
export function pauseMs(attempt: number): number {
  const bound = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(attempt, 10))
  return bound / 2 + Math.random() * (bound / 2)
}

/**
 * Does something until it succeeds.
 * @param isPermanent tells the errors that another attempt would not mend: they are thrown
 * @throws the signal's reason when it aborts
 */
export async function retry<Result>(
  what: string,
  options: { signal: AbortSignal; log: Log; isPermanent?: (error: unknown) => boolean },
  run: () => Promise<Result>,
): Promise<Result> {
  const { signal, log, isPermanent } = options
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await run()
    } catch (err) {
      if (isPermanent?.(err)) throw err
      log.warn({ err, attempt }, `${what} failed, trying again`)
    }
    await delay(pauseMs(attempt), undefined, { signal })
  }
}
