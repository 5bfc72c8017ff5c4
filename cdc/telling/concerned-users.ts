import { clickHouseErrorCode, type Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'

/** What has changed in one table since the last time anybody asked. */
export type TableChanges = {
  entry: RegistryEntry
  keys: Set<string>
  /** The keys are in the log only: they are many, or rows that a TRUNCATE or a snapshot found gone are among them. */
  hasMoreInLog: boolean
}

/** More keys than that are not remembered, but found in the log by their versions. */
const maxKeysKept = 500

export function addKey(changes: TableChanges, key: string): void {
  if (changes.hasMoreInLog) return
  changes.keys.add(key)
  if (changes.keys.size <= maxKeysKept) return
  changes.hasMoreInLog = true
  changes.keys.clear()
}

/** Versions of the oldest and the newest of some changes. */
export type Versions = { from: bigint; to: bigint }

export type ConcernedUsers = {
  /** Ids, without doubles. */
  users: Set<string>
  /** How many other values a table's SELECT gave as ids: no user has them. */
  strays: Map<string, number>
}

const row = z.object({ user_id: z.string(), ids: z.int() })

/**
 * Users are UUIDs, in all services: one other value in a call, and reports-service would refuse it with all the others. NULL and
 * the empty string are nobody, as in a column that may be empty; whatever else is no UUID is counted under an empty `user_id`.
 */
export const usersSql = (changedKeys: string, { users }: RegistryEntry) => `
  SELECT ifNull(toString(toUUIDOrNull(id)), '') AS user_id, toUInt32(countIf(id != '')) AS ids
  FROM (
    SELECT DISTINCT ifNull(toString(user_id), '') AS id
    FROM (WITH changed_keys AS (${changedKeys}) ${users}))
  GROUP BY user_id`

/**
 * Whose reports changes concern, as the registry says it.
 * @throws TENDON-CDC-024 when ClickHouse refuses the SELECT of a table
 */
export async function findConcernedUsers(
  warehouse: Warehouse,
  changes: Iterable<TableChanges>,
  versions: Versions,
): Promise<ConcernedUsers> {
  const users = new Set<string>()
  const strays = new Map<string, number>()
  for (const one of changes) {
    for (const { user_id, ids } of await askFor(warehouse, one, versions)) {
      if (user_id !== '') users.add(user_id)
      else if (ids > 0) strays.set(one.entry.name, ids)
    }
  }
  return { users, strays }
}

async function askFor(
  warehouse: Warehouse,
  { entry, keys, hasMoreInLog }: TableChanges,
  { from, to }: Versions,
): Promise<z.infer<typeof row>[]> {
  const byKey = defineQuery({
    name: `users-of ${entry.name}`,
    sql: usersSql('SELECT arrayJoin({keys:Array(String)}) AS key', entry),
    params: z.object({ keys: z.array(z.string()) }),
    row,
  })
  const byVersion = defineQuery({
    name: `users-of ${entry.name}`,
    sql: usersSql(
      `SELECT DISTINCT key FROM cdc.events
       WHERE table = {table:String} AND version >= {from:UInt128} AND version <= {to:UInt128}`,
      entry,
    ),
    params: z.object({ table: z.string(), from: z.string(), to: z.string() }),
    row,
  })
  return asUsersProblem(entry, () =>
    hasMoreInLog
      ? warehouse.query(byVersion, { table: entry.name, from: from.toString(), to: to.toString() })
      : warehouse.query(byKey, { keys: [...keys] }),
  )
}

/** @throws TENDON-CDC-024 where ClickHouse has answered, and refuses */
export async function asUsersProblem<Result>(
  { name }: RegistryEntry,
  ask: () => Promise<Result>,
): Promise<Result> {
  try {
    return await ask()
  } catch (err) {
    if (!(err instanceof Error) || clickHouseErrorCode(err) === undefined) throw err
    const [reason] = String((err.cause as Error).message).split('\n')
    throw cdcErrors.usersRefused(`Of ${name}: ${reason}`, { cause: err })
  }
}
