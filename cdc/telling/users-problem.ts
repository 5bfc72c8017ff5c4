import { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { readColumns } from '../derive/tables-read.ts'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { asUsersProblem, findConcernedUsers, usersSql } from './concerned-users.ts'

/**
 * Asks ClickHouse for the users of no change at all.
 * @returns TENDON-CDC-024 when it does not take the SELECT, or its `user_id` cannot be the id of a user
 */
export async function readUsersProblem(
  warehouse: Warehouse,
  entry: RegistryEntry,
): Promise<TendonError | undefined> {
  try {
    const none = { entry, keys: new Set<string>(), hasMoreInLog: false }
    await findConcernedUsers(warehouse, [none], { from: 0n, to: 0n })
    const type = await typeOfUserId(warehouse, entry)
    if (idTypes.test(type)) return undefined
    return cdcErrors.usersRefused(
      `Of ${entry.name}: user_id is of type ${type}, and has to be a UUID, or a String that holds one, as ` +
        `JSONExtractString(row, 'customer_id') AS user_id is. Nobody is told of its changes.`,
    )
  } catch (err) {
    if (err instanceof TendonError && err.code === cdcErrors.usersRefused.code) return err
    throw err
  }
}

const idTypes = /^(LowCardinality\()?(Nullable\()?(UUID|String|FixedString\(36\))\)*$/

async function typeOfUserId(warehouse: Warehouse, entry: RegistryEntry): Promise<string> {
  const query = defineQuery({
    name: `type-of-user-id ${entry.name}`,
    sql: `DESCRIBE (WITH changed_keys AS (SELECT arrayJoin({keys:Array(String)}) AS key) ${entry.users})`,
    params: z.object({ keys: z.array(z.string()) }),
    row: z.object({ name: z.string(), type: z.string() }),
  })
  const columns = await asUsersProblem(entry, () => warehouse.query(query, { keys: [] }))
  return columns.find(({ name }) => name === 'user_id')!.type
}

/**
 * Tables whose users could not be found any more without a replica, or without some columns of it: as long as that is so, the
 * position stands for all tables.
 * @param kept names of the columns that stay; none when the replica goes
 */
export async function readersOf(
  warehouse: Warehouse,
  entries: readonly RegistryEntry[],
  replica: Pick<ReplicaTable, 'name'>,
  kept: readonly string[] = [],
): Promise<{ table: string; columns: string[] }[]> {
  const readers: { table: string; columns: string[] }[] = []
  for (const entry of entries) {
    // One that ClickHouse does not take as it is needs nothing any more.
    if (await readUsersProblem(warehouse, entry)) continue
    const read = (await columnsOf(warehouse, entry)).get(`crm.${replica.name}`)
    const missed = [...(read ?? [])].filter((column) => !kept.includes(column))
    if (read && (kept.length === 0 || missed.length > 0)) readers.push({ table: entry.name, columns: missed })
  }
  return readers
}

/** The columns that the SELECT reads, by `database.table`. */
const columnsOf = (warehouse: Warehouse, entry: RegistryEntry) =>
  readColumns(warehouse, {
    name: `tables-read-for ${entry.name}`,
    select: usersSql('SELECT arrayJoin({keys:Array(String)}) AS key', entry),
    params: { keys: [] },
  })
