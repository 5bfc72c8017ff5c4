import { clickHouseErrorCode, type Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

/** The columns that a SELECT reads, by `database.table`, as ClickHouse's analyzer understands it. */
export async function readColumns(
  warehouse: Warehouse,
  query: { name: string; select: string; params?: Record<string, unknown> },
): Promise<Map<string, Set<string>>> {
  const queryTree = defineQuery({
    name: query.name,
    sql: `EXPLAIN QUERY TREE ${query.select}`,
    params: z.record(z.string(), z.unknown()),
    row: z.object({ explain: z.string() }),
  })
  const lines = (await warehouse.query(queryTree, query.params ?? {})).flatMap(({ explain }) =>
    explain.split('\n'),
  )
  const tables = new Map<string, string>()
  for (const line of lines) {
    const table = /^ *TABLE id: (\d+),.* table_name: (.+?)(, (final|sample_size|sample_offset): .*)?$/.exec(
      line,
    )
    if (table) tables.set(table[1]!, table[2]!)
  }
  const read = new Map([...tables.values()].map((table) => [table, new Set<string>()]))
  for (const line of lines) {
    const column = /^ *COLUMN id: \d+,.*? column_name: (.+), result_type: .*, source_id: (\d+)$/.exec(line)
    const table = column && tables.get(column[2]!)
    if (table) read.get(table)!.add(column[1]!)
  }
  return read
}

/** Dictionaries and what else ClickHouse loads after the replica, and views, of which it tells the SELECT alone. */
const mayReadReplica = defineQuery({
  name: 'may-read-replica',
  sql: `
    SELECT database, name, as_select AS select,
      has(arrayZip(loading_dependencies_database, loading_dependencies_table), ('crm', {replica:String})) AS is_certain
    FROM system.tables
    WHERE is_certain OR position(as_select, {replica:String}) > 0`,
  params: z.object({ replica: z.string() }),
  row: z.object({
    database: z.string(),
    name: z.string(),
    select: z.string(),
    is_certain: z.coerce.boolean(),
  }),
})

/** Names of views and dictionaries that read a replica, as `database.name`. */
export async function objectsOver(warehouse: Warehouse, replica: { name: string }): Promise<string[]> {
  const names: string[] = []
  for (const { database, name, select, is_certain } of await warehouse.query(mayReadReplica, {
    replica: replica.name,
  })) {
    if (is_certain || (await doesRead(warehouse, select, replica))) names.push(`${database}.${name}`)
  }
  return names
}

/** UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE: a SELECT that lacks something already needs nothing any more. */
export const lacking: ReadonlySet<number> = new Set([47, 60, 81])

async function doesRead(warehouse: Warehouse, select: string, { name }: { name: string }): Promise<boolean> {
  try {
    return (await readColumns(warehouse, { name: 'tables-read-by-view', select })).has(`crm.${name}`)
  } catch (error) {
    const code = clickHouseErrorCode(error)
    if (code === undefined) throw error
    // Of what else cannot be looked into, as of a view with parameters, its text counts.
    return !lacking.has(code)
  }
}
