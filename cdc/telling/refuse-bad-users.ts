import type { Warehouse } from '@tendon/warehouse/client.ts'
import { createReplicaSql, type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { readShape } from '../whole-tables/shadow.ts'
import { readUsersProblem } from './users-problem.ts'

/**
 * Asks ClickHouse for the users of no change at all, before a feed depends on the answer. The replica, which the SELECT may
 * read, is made for that long where there is none; call it with the apply lock.
 * @throws TENDON-CDC-024 when ClickHouse does not take the SELECT, or it gives no ids of users
 */
export async function refuseBadUsers(warehouse: Warehouse, replica: ReplicaTable): Promise<void> {
  const isNew = (await readShape(warehouse, replica)) === undefined
  if (isNew) await warehouse.command(createReplicaSql(replica))
  try {
    const problem = await readUsersProblem(warehouse, replica.source.entry)
    if (problem) throw problem
  } finally {
    if (isNew) await warehouse.command(`DROP TABLE ${replicaTableName(replica)} SYNC`)
  }
}
