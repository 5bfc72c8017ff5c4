import type { Metrics } from '@tendon/platform/metrics.ts'
import type { ChangeMessage } from './change-message.ts'
import type { EventBatch } from './event-batch.ts'

export type FeedMetrics = ReturnType<typeof createFeedMetrics>

export function createFeedMetrics(metrics: Metrics) {
  const changes = metrics.counter('changes_total', 'Changes that have become visible', ['table'])
  const deadLetters = metrics.gauge('dead_letters', 'Changes that could not be applied and wait', ['table'])
  const writes = metrics.histogram('write_duration_seconds', 'Time to make a batch of changes visible')
  const visible = metrics.histogram(
    'commit_to_visible_seconds',
    'From the commit at the source to visible in the replica, by the two clocks',
    ['table'],
  )
  const walBehind = metrics.gauge('wal_behind_bytes', 'WAL that the source keeps for the feed')
  // The time and not the age, which would stand still together with the feed that measures it.
  const positionMoved = metrics.gauge(
    'position_timestamp_seconds',
    'When the position last moved on, which it does every 2 s also while nothing changes; 0 until it is known',
  )
  const snapshots = metrics.counter('snapshots_total', 'Snapshots taken')
  const sessions = metrics.counter('interruptions_total', 'Times the feed had to connect anew', ['code'])

  function seen(table: string, count: number, newestMicros: bigint): void {
    changes.inc({ table }, count)
    if (newestMicros > 0n) {
      visible.observe({ table }, Math.max(0, Date.now() - Number(newestMicros / 1000n)) / 1000)
    }
  }

  return {
    /** A batch that was read from the WAL in process is visible. */
    stored(batch: EventBatch, seconds: number): void {
      if (batch.eventCount > 0) writes.observe(seconds)
      const counts = new Map<string, number>()
      for (const { qualifiedName } of batch.codecs) {
        counts.set(qualifiedName, (counts.get(qualifiedName) ?? 0) + 1)
      }
      const newest = batch.newest?.committedAt ?? 0n
      for (const [table, count] of counts) seen(table, count, newest)
    },
    /** Changes that came by Kafka are visible. */
    received(messages: readonly ChangeMessage[]): void {
      const tables = new Map<string, { count: number; newest: bigint }>()
      for (const { table, op, committedAt } of messages) {
        const known = tables.get(table) ?? { count: 0, newest: 0n }
        tables.set(table, known)
        known.count++
        // Rows of a snapshot carry the time of the snapshot.
        if (op !== 'r' && committedAt > known.newest) known.newest = committedAt
      }
      for (const [table, { count, newest }] of tables) seen(table, count, newest)
    },
    deadLetters(counts: Map<string, number>): void {
      deadLetters.reset()
      for (const [table, count] of counts) deadLetters.set({ table }, count)
    },
    walBehind(bytes: bigint): void {
      walBehind.set(Number(bytes))
    },
    /** @param unixSeconds by ClickHouse's clock */
    positionMoved(unixSeconds: number): void {
      positionMoved.set(unixSeconds)
    },
    snapshotTaken(): void {
      snapshots.inc()
    },
    interrupted(code: string): void {
      sessions.inc({ code })
    },
  }
}
