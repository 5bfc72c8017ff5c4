import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { applySql, fieldsSql, isOfTableSql, valuesSql } from '../derive/derive-view.ts'
import { chIdentifier, chLiteral } from '../derive/sql-names.ts'
import { cdcErrors } from '../errors.ts'
import { type Shadow, withShadow } from './shadow.ts'
import { readFloor } from './snapshot-record.ts'

/**
 * Rebuilds a replica from the log alone, from where its table was read whole, in a second table that takes the first one's place, so that its readers see
 * one whole table or the other.
 * @param options.settled resolves when no insert is on its way that began before the call
 * @param options.force leaves out rows that the log does not hold any more
 * @returns how many rows there are then
 * @throws TENDON-CDC-021 when there are such rows
 */
export async function replayTable(options: {
  warehouse: Warehouse
  replica: ReplicaTable
  settled: () => Promise<void>
  force?: boolean
  onProgress?: (part: number) => void
}): Promise<{ rows: number }> {
  const { warehouse, replica, settled, force = false, onProgress } = options
  return withShadow(warehouse, replica, async (shadow) => {
    // What was on its way when the shadow's view was made passed it by, and is in the log after this.
    await settled()
    if (shadow.shape !== undefined && !force) await refuseToForget(warehouse, replica)
    const floor = await readFloor(warehouse, replica.source.qualifiedName)
    const partitions = await warehouse.query(partitionsOf(replica), {})
    for (const [index, { id }] of partitions.entries()) {
      onProgress?.(index / partitions.length)
      await warehouse.command(
        `INSERT INTO ${replicaTableName(shadow.table)} ${applySql(replica, ` AND _partition_id = ${chLiteral(id)} AND version >= toUInt128(${chLiteral(floor.toString())})`)}`,
      )
    }
    return { rows: await countRows(warehouse, shadow) }
  })
}

/** A statement a month: the log may be long. */
const partitionsOf = (replica: ReplicaTable) =>
  defineQuery({
    name: `partitions of ${replica.name}`,
    sql: `SELECT DISTINCT _partition_id AS id FROM cdc.events WHERE ${isOfTableSql(replica)} ORDER BY id`,
    params: z.object({}),
    row: z.object({ id: z.string() }),
  })

const count = z.object({ __rows: z.coerce.number() })

async function refuseToForget(warehouse: Warehouse, replica: ReplicaTable): Promise<void> {
  const key = replica.key.map(({ name }) => chIdentifier(name)).join(', ')
  const query = defineQuery({
    name: `rows of ${replica.name} that are not in the log`,
    sql: `
      SELECT count() AS __rows FROM ${replicaTableName(replica)} FINAL
      WHERE (${key}) NOT IN (
        SELECT ${valuesSql(replica, replica.key).join(', ')}
        FROM (SELECT ${fieldsSql(replica)} FROM cdc.events WHERE ${isOfTableSql(replica)})
      )`,
    params: z.object({}),
    row: count,
  })
  const [missing] = await warehouse.query(query, {})
  if (missing!.__rows === 0) return
  throw cdcErrors.logIncomplete(
    `The log has not all rows of ${replica.source.qualifiedName} any more: it lacks ${missing!.__rows}.`,
  )
}

async function countRows(warehouse: Warehouse, { table }: Shadow): Promise<number> {
  const sql = `SELECT count() AS __rows FROM ${replicaTableName(table)} FINAL`
  const [rows] = await warehouse.query(
    defineQuery({ name: 'rows of a shadow', sql, params: z.object({}), row: count }),
    {},
  )
  return rows!.__rows
}
