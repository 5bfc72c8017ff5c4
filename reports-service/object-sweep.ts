import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { reportObjectsPrefix } from './report-objects.ts'

export type ObjectSweep = {
  /** Makes sure of the bucket and its rule now, or sweeps, in the background; and again every hour. */
  start(): void
  /** Resolves when a sweep that is under way has ended, which it does with the object it is at. */
  stop(): Promise<void>
}

/** Whoever sets it sweeps. */
export const sweepKey = 'tendon:report-sweep'

const intervalMs = 3_600_000
const dayMs = 86_400_000

/**
 * Deletes the objects that nobody has been given for long, by their age alone: a rule of the bucket does, or where the
 * store has none, this.
 *
 * An object is handed out only as long as its generation is used, which ends at half of `maxAgeMs`, and a link to it
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
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  let sweeping = Promise.resolve()

  async function expire(): Promise<void> {
    await store.check()
    if (!(await store.expireAfter(reportObjectsPrefix, Math.ceil(maxAgeMs / dayMs)))) await sweep()
  }

  async function sweep(): Promise<void> {
    // A little less than the interval, so that the next hour's timer finds it gone.
    const ttlMs = intervalMs - 60_000
    if (!(await keyValue.set(sweepKey, 'done', { onlyIfAbsent: true, ttlMs }))) return
    let deleted = 0
    for await (const { key, modifiedAt } of store.list(reportObjectsPrefix)) {
      if (isStopped) break
      if (now() - modifiedAt.getTime() <= maxAgeMs) continue
      await store.delete(key)
      deleted += 1
    }
    if (deleted > 0) log.info({ objects: deleted }, 'old objects deleted')
  }

  function begin(): void {
    sweeping = expire().catch((err: unknown) => {
      log.warn({ err }, 'old objects were not deleted; the next hour tries again')
    })
  }

  return {
    start() {
      begin()
      timer = setInterval(begin, intervalMs).unref()
    },
    async stop() {
      isStopped = true
      clearInterval(timer)
      await sweeping
    },
  }
}
