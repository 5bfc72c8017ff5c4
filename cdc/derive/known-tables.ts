import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { RegistryEntry } from '../registry.ts'

/** Whom a change concerns of a table that nothing was said of. */
export const nobody = `SELECT '' AS user_id WHERE false`

const addedTables = defineQuery({
  name: 'added-tables',
  sql: 'SELECT table, omit_columns, types, users FROM cdc.registry FINAL ORDER BY added_at, table',
  params: z.object({}),
  row: z.object({
    table: z.string(),
    omit_columns: z.array(z.string()),
    types: z.record(z.string(), z.string()),
    users: z.string(),
  }),
})

/** The tables that are carried: those declared in code, and those added by `npm run cdc -- add`. */
export async function readKnownTables(
  warehouse: Warehouse,
  declared: readonly RegistryEntry[],
): Promise<RegistryEntry[]> {
  const names = new Set(declared.map(({ name }) => name))
  const added = await warehouse.query(addedTables, {})
  return [
    ...declared,
    ...added
      .filter(({ table }) => !names.has(table))
      .map(({ table, omit_columns, types, users }) => ({
        name: table,
        omitColumns: omit_columns,
        types,
        // As it was written down before there was a SELECT for it.
        users: users || nobody,
      })),
  ]
}

/** Adds a table, or changes how it is carried. */
export async function addKnownTable(warehouse: Warehouse, entry: RegistryEntry): Promise<void> {
  const { name, omitColumns = [], types = {}, users } = entry
  await warehouse.insertRows('cdc.registry', [{ table: name, omit_columns: omitColumns, types, users }])
}

/** Takes a table out that was added. */
export async function removeKnownTable(warehouse: Warehouse, name: string): Promise<void> {
  await warehouse.command(
    'ALTER TABLE cdc.registry DELETE WHERE table = {table:String} SETTINGS mutations_sync = 2',
    { table: name },
  )
}
