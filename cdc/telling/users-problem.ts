import type { TendonError } from '@tendon/platform/errors.ts'
import { clickHouseErrorCode, type Warehouse } from '@tendon/warehouse/client.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { readColumns } from '../derive/tables-read.ts'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { findConcernedUsers, usersSql } from './concerned-users.ts'

/** Asks ClickHouse for the users of no change at all. @returns TENDON-CDC-024 when it does not take the SELECT */
export async function readUsersProblem(
  warehouse: Warehouse,
  entry: RegistryEntry,
): Promise<TendonError | undefined> {
  try {
    const none = { entry, keys: new Set<string>(), hasMoreInLog: false }
    await findConcernedUsers(warehouse, [none], { from: 0n, to: 0n })
  } catch (err) {
    if (!(err instanceof Error) || clickHouseErrorCode(err) === undefined) throw err
    const [reason] = String((err.cause as Error).message).split('\n')
    return cdcErrors.usersRefused(`Of ${entry.name}: ${reason}`, { cause: err })
  }
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
