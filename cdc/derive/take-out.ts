import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type { ClientBase } from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { forgetNotes } from '../telling/telling-notes.ts'
import { readersOf } from '../telling/users-problem.ts'
import { forgetSnapshot, readFinishedSnapshots } from '../whole-tables/snapshot-record.ts'
import { dropReplica } from './apply.ts'
import { removeFromPublication } from './derive-publication.ts'
import { replicaName } from './derive-table.ts'
import { objectsOver } from './tables-read.ts'

const heldReplicas = defineQuery({
  name: 'held-replicas',
  sql: `SELECT name FROM system.tables WHERE database = 'crm'`,
  params: z.object({}),
  row: z.object({ name: z.string() }),
})

/** Tables that are carried and that no entry names any more: they were declared in code, and taken out of it. */
export async function undeclaredTables(
  warehouse: Warehouse,
  entries: readonly RegistryEntry[],
): Promise<string[]> {
  const names = new Set(entries.map(({ name }) => name))
  const read = await readFinishedSnapshots(warehouse)
  const held = new Set((await warehouse.query(heldReplicas, {})).map(({ name }) => name))
  // One that could not be carried in the end has its replica still.
  return [...read.keys()].filter((table) => !names.has(table) && held.has(replicaName(table)))
}

/** Why a table has to stay: the SELECT of whom another's changes concern reads its replica, or something in ClickHouse does. */
export async function readReadersProblem(
  warehouse: Warehouse,
  others: readonly RegistryEntry[],
  table: string,
): Promise<TendonError | undefined> {
  const name = replicaName(table)
  const [reader] = await readersOf(warehouse, others, { name })
  if (reader)
    return cdcErrors.usersRefused(
      `That of ${reader.table} reads crm.${name}, which would be gone: ${table} is still carried.`,
    )
  const objects = await objectsOver(warehouse, { name })
  if (objects.length === 0) return undefined
  return cdcErrors.replicaRead(
    `${objects.join(', ')} would break without crm.${name}: ${table} is still carried.`,
  )
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
  await removeFromPublication(source, publicationName, table)
  await forgetSnapshot(warehouse, table)
  await dropReplica(warehouse, { name: replicaName(table) })
  await forgetNotes(warehouse, table)
}
