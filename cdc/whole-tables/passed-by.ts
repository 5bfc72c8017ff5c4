import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { applySql, misfitSql } from '../derive/derive-view.ts'
import type { Versions } from '../telling/concerned-users.ts'
import type { LogVisibility } from '../verify/log-visibility.ts'

/** What the moment has not seen, and may have passed a view by. */
export async function fillWithLater(
  warehouse: Warehouse,
  replica: ReplicaTable,
  target: ReplicaTable,
  { unseen, params }: LogVisibility,
): Promise<void> {
  const later = ` AND version >= {seenFrom:UInt128} AND ${unseen}`
  await warehouse.command(`INSERT INTO ${replicaTableName(target)} ${applySql(replica, later)}`, params)
}

/** Letters of what does not fit the new shape: of the moment's rows, and of what came until the view was there that finds them. */
export async function writeMisfits(
  warehouse: Warehouse,
  replica: ReplicaTable,
  { unseen, params }: LogVisibility,
  floor: bigint,
): Promise<void> {
  const passedBy = ` AND (op = 'r' AND version >= {floor:UInt128} OR version >= {seenFrom:UInt128} AND (${unseen}))`
  const letters = misfitSql(replica, passedBy)
  if (!letters) return
  const columns =
    'table, key, version, lsn, op, reason, encoding, message, committed_at, topic, partition, offset'
  await warehouse.command(`INSERT INTO cdc.dead_letters (${columns}) ${letters}`, {
    ...params,
    floor: floor.toString(),
  })
}

const lettersOfMoment = defineQuery({
  name: 'dead-letters-of-moment',
  sql: `
    SELECT toUInt32(count()) AS letters FROM cdc.dead_letters FINAL
    WHERE table = {table:String} AND op = 'r' AND version BETWEEN {from:UInt128} AND {to:UInt128}
      AND committed_at = fromUnixTimestamp64Micro({takenAt:Int64}, 'UTC')`,
  params: z.object({ table: z.string(), from: z.bigint(), to: z.bigint(), takenAt: z.bigint() }),
  row: z.object({ letters: z.int() }),
})

/** How many rows of a moment became dead letters. Rows of another moment may have the same versions. */
export async function countLettersOfMoment(
  warehouse: Warehouse,
  { source }: ReplicaTable,
  moment: Versions & { takenAt: bigint },
): Promise<number> {
  const [counted] = await warehouse.query(lettersOfMoment, { table: source.qualifiedName, ...moment })
  return counted!.letters
}
