import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { RegistryEntry } from '../registry.ts'
import { findConcernedUsers, type TableChanges, type Versions } from './concerned-users.ts'
import { type Invalidate, inCalls } from './invalidate.ts'

/**
 * Tells those whose reports changes concern. Telling them again does no harm.
 * @returns how many they are, and by table how many values were no ids of users
 */
export async function tellUsers(options: {
  warehouse: Warehouse
  changes: Iterable<TableChanges>
  versions: Versions
  invalidate: Invalidate
  signal: AbortSignal
}): Promise<{ told: number; strays: Map<string, number> }> {
  const { warehouse, changes, versions, invalidate, signal } = options
  const { users, strays } = await findConcernedUsers(warehouse, changes, versions)
  for (const call of inCalls([...users])) await invalidate(call, signal)
  return { told: users.size, strays }
}

export const wholeLog: Versions = { from: 0n, to: 2n ** 128n - 1n }

export const changesOf = (entry: RegistryEntry, keys: Iterable<string>): TableChanges => ({
  entry,
  keys: new Set(keys),
  hasMoreInLog: false,
})

/** The changes of a table that stand in the log. */
export const changesInLog = (entry: RegistryEntry): TableChanges => ({
  entry,
  keys: new Set(),
  hasMoreInLog: true,
})
