import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { readNewestVersion, readPosition } from '../changes/positions.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { endSnapshot, openSnapshot, type Reader, type SourceSnapshot } from '../source/source-snapshot.ts'
import { type LogVisibility, logVisibility } from './log-visibility.ts'

/** What somebody needs who holds the source and the log against each other while changes go on. */
export type ComparisonParts = {
  warehouse: Warehouse
  /** A connection to the source of its own. */
  connect: () => Promise<pg.Client>
  /** Name of the feed's replication slot. */
  feed: string
  /**
   * Resolves when the feed has stored everything committed below an LSN.
   * @param isHeld that meanwhile the table is held, from whoever wants to alter it and all that come after
   */
  caughtUp: (lsn: bigint, isHeld?: boolean) => Promise<void>
}

/** One moment of the source, and what the log knows of it. */
export type ComparisonPoint = {
  snapshot: SourceSnapshot
  /** Resolves once everything that the snapshot has seen is in the log. */
  visibility: Promise<LogVisibility>
}

/**
 * Runs with a moment of the source held: until it ends, nothing that it has seen can be vacuumed away, and the table
 * can neither be truncated nor altered.
 * @param reader the session that will read the table, when it is not the moment's own
 */
export async function atComparisonPoint<Result>(
  parts: ComparisonParts,
  { source }: ReplicaTable,
  run: (point: ComparisonPoint) => Promise<Result>,
  reader?: Reader,
): Promise<Result> {
  const { warehouse, feed, caughtUp } = parts
  const client = await parts.connect()
  try {
    const newestVersion = await readNewestVersion(warehouse)
    const snapshot = await openSnapshot(client, reader ?? client, source)
    const visibility = (async () => {
      await caughtUp(snapshot.lsnAfter, true)
      const versionOffset = (await readPosition(warehouse, feed))?.history.versionOffset ?? 0n
      return logVisibility(snapshot, { newestVersion, versionOffset })
    })()
    // Whoever awaits it learns of a failure; nobody may, when something else failed first.
    visibility.catch(() => {})
    const result = await run({ snapshot, visibility })
    await endSnapshot(snapshot)
    return result
  } finally {
    await client.end()
  }
}
