import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { BatchQueue, defaultLimits } from '../changes/batch-queue.ts'
import { createChangeWriter } from '../changes/change-writer.ts'
import type { SourceRows } from '../changes/complete-changes.ts'
import type { Position } from '../changes/positions.ts'
import type { FeedMetrics } from '../feed-metrics.ts'
import type { Tell } from '../telling/teller.ts'
import { type Confirmation, createConfirmation } from './confirmation.ts'

/** The way of the changes: queue, writer, confirmation. */
export type Pipeline = {
  queue: BatchQueue
  confirmation: Confirmation
  /** Resolves when everything queued so far is visible. */
  drained(): Promise<void>
  /** Nothing is on its way. */
  isIdle(): boolean
  /** Rejects when changes can no longer be stored, or the signal aborts. */
  failed: Promise<never>
  /** Resolves once it has failed and no statement of it is on its way any more. */
  ended: Promise<unknown>
}

export function startPipeline(options: {
  warehouse: Warehouse
  feed: string
  start: Position
  source: { pause(): void; resume(): void }
  readSource: SourceRows
  tell: Tell
  acknowledge: (lsn: bigint) => void
  log: Log
  metrics: FeedMetrics
  signal: AbortSignal
}): Pipeline {
  const { warehouse, feed, start, source, readSource, tell, acknowledge, log, metrics, signal } = options
  const queue = new BatchQueue(defaultLimits, source)
  const writer = createChangeWriter({ warehouse, readSource, log, signal })
  const confirmation = createConfirmation({
    warehouse,
    feed,
    history: start.history,
    stored: start,
    tell,
    acknowledge,
    log,
    signal,
  })
  let writing = false
  let waiting: (() => void)[] = []

  async function writeBatches(): Promise<never> {
    for (;;) {
      const batch = await queue.next(signal)
      writing = true
      const startedAt = performance.now()
      await writer.write(batch)
      metrics.stored(batch, (performance.now() - startedAt) / 1000)
      confirmation.add(batch)
      queue.recycle(batch)
      writing = false
      if (!queue.isEmpty) continue
      for (const resolve of waiting) resolve()
      waiting = []
    }
  }

  const work = [writeBatches(), confirmation.run()]
  const failed = Promise.race(work)
  // Whoever waits for it learns of it; nobody may, once the session has ended for another reason.
  failed.catch(() => {})
  return {
    queue,
    confirmation,
    failed,
    ended: Promise.allSettled(work),
    isIdle: () => !writing && queue.isEmpty && confirmation.isIdle(),
    drained() {
      if (!writing && queue.isEmpty) return Promise.resolve()
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      queue.arrived()
      return promise
    },
  }
}
