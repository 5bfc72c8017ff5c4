import type { Metrics } from '@tendon/platform/metrics.ts'
import type { EventBatch } from './event-batch.ts'

export type FeedMetrics = ReturnType<typeof createFeedMetrics>

export function createFeedMetrics(metrics: Metrics) {
  const changes = metrics.counter('changes_total', 'Changes stored in cdc.events')
  const deadLetters = metrics.counter('dead_letters_total', 'Changes that could not be applied')
  const writes = metrics.histogram('write_duration_seconds', 'Time to make a batch of changes visible')
  const visible = metrics.histogram(
    'commit_to_visible_seconds',
    'From the commit at the source to visible in the replica, by the two clocks',
  )
  const walBehind = metrics.gauge('wal_behind_bytes', 'WAL that the source keeps for the feed')
  const snapshots = metrics.counter('snapshots_total', 'Snapshots taken')
  return {
    stored(batch: EventBatch, seconds: number): void {
      if (batch.eventCount > 0) writes.observe(seconds)
      changes.inc(batch.ends.length)
      deadLetters.inc(batch.deadLetters.length)
      if (batch.newest)
        visible.observe(Math.max(0, Date.now() - Number(batch.newest.committedAt / 1000n)) / 1000)
    },
    behind(bytes: bigint): void {
      walBehind.set(Number(bytes))
    },
    snapshotTaken(): void {
      snapshots.inc()
    },
  }
}
