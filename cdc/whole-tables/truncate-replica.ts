import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { isDetached } from '../derive/apply.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { expandTombstonesSql } from '../derive/derive-view.ts'
import { chLiteral } from '../derive/sql-names.ts'
import type { LogVisibility } from '../verify/log-visibility.ts'

/** A TRUNCATE's place, as an event in the log has it. */
export type TruncateEvent = {
  version: string
  lsn: string
  tx_id: string
  /** Microseconds since 1970. */
  committed_at: string
}

/**
 * Gives every row that is older than a TRUNCATE a tombstone. A detached replica has rows of another shape: those of the
 * one that takes its place get theirs when it is attached.
 */
export async function truncateReplica(
  warehouse: Warehouse,
  replica: ReplicaTable,
  event: TruncateEvent,
): Promise<void> {
  if (await isDetached(warehouse, replica)) return
  await warehouse.command(expandTombstonesSql(replica), event)
}

/** TRUNCATEs in the log that a moment of the source has not seen. */
export function laterTruncates(
  warehouse: Warehouse,
  replica: ReplicaTable,
  { unseen, params }: LogVisibility,
): Promise<TruncateEvent[]> {
  return readTruncates(warehouse, replica, `version >= {seenFrom:UInt128} AND ${unseen}`, params)
}

/** TRUNCATEs in the log that come after a version. */
export function truncatesAfter(
  warehouse: Warehouse,
  replica: ReplicaTable,
  version: bigint,
): Promise<TruncateEvent[]> {
  return readTruncates(warehouse, replica, 'version > {after:UInt128}', { after: version.toString() })
}

async function readTruncates(
  warehouse: Warehouse,
  { name, source }: ReplicaTable,
  condition: string,
  params: Record<string, unknown>,
): Promise<TruncateEvent[]> {
  const query = defineQuery({
    name: `truncates of ${name}`,
    sql: `
      SELECT toString(version) AS version, toString(lsn) AS lsn, toString(tx_id) AS tx_id,
        toString(toUnixTimestamp64Micro(committed_at)) AS committed_at
      FROM cdc.events FINAL
      WHERE table = ${chLiteral(source.qualifiedName)} AND key = '' AND op = 't' AND ${condition.replace(/\b(version|tx_id)\b/g, 'events.$1')}
      ORDER BY events.version`,
    params: z.record(z.string(), z.unknown()),
    row: z.object({
      version: z.string(),
      lsn: z.string(),
      tx_id: z.string(),
      committed_at: z.string(),
    }),
  })
  return warehouse.query(query, params)
}
