import { type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { appliesSql, fieldsSql, isOfTableSql, valuesSql } from '../derive/derive-view.ts'
import { chIdentifier } from '../derive/sql-names.ts'
import type { LogVisibility } from './log-visibility.ts'

/**
 * The rows of a replica as the source's snapshot has them, although changes go on arriving: a SELECT of its columns.
 *
 * A row that no later change has touched is the replica's own. For the others the log is asked what the newest
 * change was that the snapshot has seen, and its values are taken out as the replica's view does it. What is not
 * in the log any more is missing then.
 */
export function replicaAtSnapshotSql(replica: ReplicaTable, { seen, unseen }: LogVisibility): string {
  const names = replica.columns.map(({ name }) => chIdentifier(name)).join(', ')
  const key = replica.key.map(({ name }) => chIdentifier(name)).join(', ')
  const ofTable = isOfTableSql(replica)
  const later = `${ofTable} AND version >= {seenFrom:UInt128} AND ${unseen}`
  return `
SELECT ${names}
FROM ${replicaTableName(replica)} FINAL
WHERE (${key}) NOT IN (
  SELECT ${valuesSql(replica, replica.key).join(', ')}
  FROM (SELECT ${fieldsSql(replica)} FROM cdc.events WHERE ${later})
)
UNION ALL
SELECT ${valuesSql(replica).join(',\n  ')}
FROM (
  SELECT tupleElement(newest, 1) AS row, tupleElement(newest, 2) AS __deleted, ${fieldsSql(replica)}
  FROM (
    SELECT argMax((row, deleted), version) AS newest
    FROM cdc.events
    WHERE ${ofTable} AND ${seen} AND key IN (SELECT key FROM cdc.events WHERE ${later})
    GROUP BY key
  )
)
WHERE __deleted = 0 AND ${appliesSql(replica)}`
}
