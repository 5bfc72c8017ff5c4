import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { ClientBase } from 'pg'
import type { RegistryEntry } from '../registry.ts'
import { forgetSnapshot, readFinishedSnapshots } from '../whole-tables/snapshot-record.ts'
import { dropReplica } from './apply.ts'
import { removeFromPublication } from './derive-publication.ts'
import { replicaName } from './derive-table.ts'

/** Tables that are carried and that no entry names any more: they were declared in code, and taken out of it. */
export async function undeclaredTables(
  warehouse: Warehouse,
  entries: readonly RegistryEntry[],
): Promise<string[]> {
  const names = new Set(entries.map(({ name }) => name))
  const read = await readFinishedSnapshots(warehouse)
  return [...read]
    .filter(([table, membership]) => membership !== '' && !names.has(table))
    .map(([table]) => table)
}

/**
 * Ends the carrying of a table, and drops its replica; its changes stay in the log.
 * @param table `schema.table`, which the source need not have any more
 */
export async function takeOut(
  source: ClientBase,
  warehouse: Warehouse,
  publicationName: string,
  table: string,
): Promise<void> {
  const dot = table.indexOf('.')
  const name = { schema: table.slice(0, dot), name: table.slice(dot + 1) }
  await removeFromPublication(source, publicationName, name)
  await forgetSnapshot(warehouse, table)
  await dropReplica(warehouse, { name: replicaName(name) })
}
