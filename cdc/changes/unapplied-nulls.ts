import type { Warehouse } from '@tendon/warehouse/client.ts'

/** A change with NULL in a column that takes none, at the source too: it is in the log, and not in the replica. */
export type UnappliedNull = { table: string; version: bigint }

const keep = `
  INSERT INTO cdc.dead_letters
    (table, key, version, lsn, op, reason, encoding, message, committed_at, topic, partition, offset)
  SELECT table, key, version, lsn, op, 'NULL in a column that is NOT NULL at the source', 'json', row, committed_at,
    topic, partition, offset
  FROM cdc.events
  WHERE table = {table:String} AND version IN (SELECT toUInt128(arrayJoin({versions:Array(String)})))`

/**
 * Puts such changes among the dead letters, as the log has them by now. NOT NULL was off for as long as they took, so
 * that a later change of the row has come, or the catalog's reader was too early and `dead-letters retry` applies them.
 */
export async function keepUnappliedNulls(
  warehouse: Warehouse,
  changes: readonly UnappliedNull[],
): Promise<void> {
  for (const [table, some] of Map.groupBy(changes, (change) => change.table)) {
    await warehouse.command(keep, { table, versions: some.map(({ version }) => version.toString()) })
  }
}
