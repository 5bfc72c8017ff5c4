import type { Metrics } from '@tendon/platform/metrics.ts'
import type { EventBatch } from './changes/event-batch.ts'
import type { ChangeMessage } from './kafka/change-message.ts'

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
    'When the position last moved on, or was at the end of the WAL; 0 until it is known',
  )
  const unread = metrics.gauge('unread_tables', 'Tables whose replicas wait to be read whole', ['table'])
  const problems = metrics.gauge(
    'catalog_problems',
    'Tables and columns that are not carried, or not as the registry asks',
    ['code'],
  )
  const connectorRunning = metrics.gauge(
    'connector_running',
    '1 while the connector and its task run, by what Kafka Connect says; 0 also while it says nothing',
    ['connector'],
  )
  const snapshots = metrics.counter('snapshots_total', 'Snapshots taken')
  const strays = metrics.counter(
    'stray_user_ids_total',
    'Values given as ids of users that are no UUID, and concern nobody',
    ['table'],
  )
  const untold = metrics.counter(
    'untold_total',
    'Times that nobody could be told whose reports have changed',
    ['code'],
  )
  const sessions = metrics.counter('interruptions_total', 'Times the feed had to connect anew', ['code'])

  /** @param tables of each change */
  function countChanges(tables: readonly string[]): Iterable<string> {
    const counts = new Map<string, number>()
    for (const table of tables) counts.set(table, (counts.get(table) ?? 0) + 1)
    for (const [table, count] of counts) changes.inc({ table }, count)
    return counts.keys()
  }

  function sawCommit(table: string, committedMicros: bigint): void {
    visible.observe({ table }, Math.max(0, Date.now() - Number(committedMicros / 1000n)) / 1000)
  }

  return {
    /** A batch that was read from the WAL in process is visible. */
    stored(batch: EventBatch, seconds: number): void {
      if (batch.eventCount > 0) writes.observe(seconds)
      const tables = countChanges(batch.codecs.map(({ qualifiedName }) => qualifiedName))
      const newest = batch.newest?.committedAt ?? 0n
      if (newest > 0n) for (const table of tables) sawCommit(table, newest)
    },
    /** Changes that came by Kafka are visible. */
    received(messages: readonly ChangeMessage[]): void {
      countChanges(messages.map(({ table }) => table))
      let last: ChangeMessage | undefined
      for (const message of messages) {
        const { table, op, committedAt } = message
        // Rows of a snapshot carry the time of the snapshot. Of a transaction one row is enough.
        if (op === 'r' || (last?.committedAt === committedAt && last.table === table)) continue
        last = message
        sawCommit(table, committedAt)
      }
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
    unreadTables(tables: readonly string[]): void {
      unread.reset()
      for (const table of tables) unread.set({ table }, 1)
    },
    catalogProblems(codes: readonly string[]): void {
      problems.reset()
      for (const code of codes) problems.inc({ code })
    },
    connectorRunning(connector: string, isRunning: boolean): void {
      connectorRunning.set({ connector }, isRunning ? 1 : 0)
    },
    snapshotTaken(): void {
      snapshots.inc()
    },
    strayUserIds(table: string, count: number): void {
      strays.inc({ table }, count)
    },
    untold(code: string): void {
      untold.inc({ code })
    },
    interrupted(code: string): void {
      sessions.inc({ code })
    },
  }
}
