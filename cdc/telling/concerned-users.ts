import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
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

const row = z.object({ user_id: z.string() })

/** Ids of any type are taken, and NULL is nobody. */
export const usersSql = (changedKeys: string, { users }: RegistryEntry) => `
  SELECT DISTINCT ifNull(toString(user_id), '') AS user_id
  FROM (WITH changed_keys AS (${changedKeys}) ${users})`

/**
 * Whose reports changes concern, as the registry says it.
 * @param versions of the oldest and the newest of the changes
 * @returns user ids, without doubles
 */
export async function findConcernedUsers(
  warehouse: Warehouse,
  changes: Iterable<TableChanges>,
  versions: { from: bigint; to: bigint },
): Promise<Set<string>> {
  const users = new Set<string>()
  for (const { entry, keys, hasMoreInLog } of changes) {
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
    const rows = hasMoreInLog
      ? await warehouse.query(byVersion, {
          table: entry.name,
          from: versions.from.toString(),
          to: versions.to.toString(),
        })
      : await warehouse.query(byKey, { keys: [...keys] })
    for (const { user_id } of rows) if (user_id !== '') users.add(user_id)
  }
  return users
}
