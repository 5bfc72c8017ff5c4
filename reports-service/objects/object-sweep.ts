import { setTimeout as delay } from 'node:timers/promises'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { reportObjectsPrefix } from './report-objects.ts'

export type ObjectSweep = {
  /** Makes sure of the bucket and its rule, or sweeps, in the background: now until it has succeeded, and every hour. */
  start(): void
  /** Resolves when a sweep that is under way has ended, which it does with the object it is at. */
  stop(): Promise<void>
}

/** Whoever sets it sweeps. */
export const sweepKey = 'tendon:report-sweep'

const intervalMs = 3_600_000
const firstRetryMs = 1_000
const lastRetryMs = 10_000
const dayMs = 86_400_000

/**
 * Deletes the objects that nobody has been given for long, by their age alone: a rule of the bucket does, or where the
 * store has none, this.
 *
 * An object is handed out only as long as its name is used, for half of `maxAgeMs` at most, and a link to it
 * lives for minutes. So what is swept is neither linked to nor looked for, and its name is never used again.
 * One instance an hour sweeps.
 */
export function createObjectSweep(options: {
  store: ObjectStore
  keyValue: KeyValue
  maxAgeMs: number
  now: () => number
  log: Log
}): ObjectSweep {
  const { store, keyValue, maxAgeMs, now, log } = options
  const stopping = new AbortController()
  let sweeping = Promise.resolve()

  async function expire(): Promise<void> {
    await store.check()
    if (!(await store.expireAfter(reportObjectsPrefix, Math.ceil(maxAgeMs / dayMs)))) await sweep()
  }

  async function sweep(): Promise<void> {
    // A little less than the interval, so that the next hour's timer finds it gone.
    const ttlMs = intervalMs - 60_000
    if (!(await keyValue.set(sweepKey, 'done', { onlyIfAbsent: true, ttlMs }))) return
    let isDone = false
    try {
      isDone = await deleteOld()
    } finally {
      // Or nobody would sweep within the hour, this instance neither.
      if (!isDone) await keyValue.delete(sweepKey)
    }
  }

  /** @returns whether it came to the end */
  async function deleteOld(): Promise<boolean> {
    let deleted = 0
    for await (const { key, modifiedAt } of store.list(reportObjectsPrefix)) {
      if (stopping.signal.aborted) return false
      if (now() - modifiedAt.getTime() <= maxAgeMs) continue
      await store.delete(key)
      deleted += 1
    }
    if (deleted > 0) log.info({ objects: deleted }, 'old objects deleted')
    return true
  }

  async function expireForever(): Promise<void> {
    let retryMs = firstRetryMs
    while (!stopping.signal.aborted) {
      let pauseMs = intervalMs
      try {
        await expire()
        retryMs = firstRetryMs
      } catch (err) {
        log.warn({ err, retry_ms: retryMs }, 'the bucket is not sure, and old objects were not deleted')
        pauseMs = retryMs
        retryMs = Math.min(2 * retryMs, lastRetryMs)
      }
      await delay(pauseMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
    }
  }

  return {
    start() {
      sweeping = expireForever()
    },
    async stop() {
      stopping.abort()
      await sweeping
    },
  }
}
