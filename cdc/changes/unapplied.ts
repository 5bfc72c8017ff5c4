import type { Warehouse } from '@tendon/warehouse/client.ts'
import { versionBatches } from './version-batches.ts'

/** A change with a value that its column does not know, at the source neither: it is in the log, and not in the replica. */
export type UnappliedChange = { table: string; version: bigint; reason: string }

export const unappliedReasons = {
  null: 'NULL in a column that is NOT NULL at the source',
  type: 'a value of another type than its column has at the source',
  either:
    'a value that its column does not take: of another type, or NULL where it is NOT NULL at the source',
}

// A key's change is two events with one version, of which the tombstone is applied.
// Of what was there when the table was read whole, or will be read whole, nothing is missing.
const keep = `
  INSERT INTO cdc.dead_letters
    (table, key, version, lsn, op, reason, encoding, message, committed_at, topic, partition, offset)
  SELECT table, key, version, lsn, op, {reason:String}, 'json', row, committed_at, topic, partition, offset
  FROM cdc.events
  WHERE table = {table:String} AND version IN (SELECT toUInt128(arrayJoin({versions:Array(String)})))
    AND deleted = 0
    AND version > (SELECT max(version) FROM cdc.snapshots WHERE table = {table:String})
    AND table IN (SELECT table FROM cdc.snapshots FINAL WHERE membership != '')`

/**
 * Puts such changes among the dead letters, as the log has them by now. The column was another one for as long as they
 * took, so that a later change of the row has come, or the catalog's reader was too early and `dead-letters retry`
 * applies them.
 */
export async function keepUnapplied(
  warehouse: Warehouse,
  changes: readonly UnappliedChange[],
): Promise<void> {
  const groups = Map.groupBy(changes, ({ table, reason }) => `${table} ${reason}`)
  for (const some of groups.values()) {
    const { table, reason } = some[0]!
    for (const versions of versionBatches(some.map(({ version }) => version))) {
      await warehouse.command(keep, { table, reason, versions: versions.map(String) })
    }
  }
}
