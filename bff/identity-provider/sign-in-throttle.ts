/** Wrong passwords in a row that cost nothing but another try. */
const freeFailures = 5
const baseDelayMs = 2_000
const maxDelayMs = 60_000
/** Names that are remembered; the one that failed longest ago is forgotten first. */
const maxNames = 1_000

/**
 * Slows down the guessing of passwords: from the fifth failure on, a username has to wait, twice as long each
 * time up to a minute. By name, not by address: behind a tunnel or a proxy everybody has the same one.
 */
export function createSignInThrottle(now: () => number = Date.now) {
  const failures = new Map<string, { count: number; lastAtMs: number }>()
  return {
    /** Milliseconds until this name may try again; 0 when it may now. */
    waitMs(username: string): number {
      const failed = failures.get(username)
      if (!failed || failed.count < freeFailures) return 0
      const delayMs = Math.min(maxDelayMs, baseDelayMs * 2 ** (failed.count - freeFailures))
      return Math.max(0, failed.lastAtMs + delayMs - now())
    },
    failed(username: string): void {
      const count = (failures.get(username)?.count ?? 0) + 1
      // Deleted first, so that the map's order is the order of the last failure.
      failures.delete(username)
      failures.set(username, { count, lastAtMs: now() })
      const [oldest] = failures.keys()
      if (failures.size > maxNames && oldest !== undefined) failures.delete(oldest)
    },
    succeeded(username: string): void {
      failures.delete(username)
    },
  }
}
