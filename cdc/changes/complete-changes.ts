import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { HeldChange } from './held-changes.ts'
import { jsonMembers } from './json-members.ts'
import type { TableCodec } from './table-codec.ts'

/** Values of rows at the source as it is now, by key; for what the log does not hold any more. */
export type SourceRows = (codec: TableCodec, keys: string[]) => Promise<Map<string, Map<string, Buffer>>>

/** A change with what is known of its values; those at `missing` are filled in. */
export type IncompleteChange = Pick<HeldChange, 'codec' | 'key' | 'formerKey' | 'values' | 'missing'> & {
  header: Pick<HeldChange['header'], 'op'>
}

const keysPerQuery = 500
const jsonNull = Buffer.from('null')

// Only what came before: after a restart, the log may hold later changes already. Tombstones are passed over: a
// row whose key changes has its old key's already.
const formerRows = defineQuery({
  name: 'former-rows',
  sql: `
    SELECT key, argMax(row, version) AS row
    FROM cdc.events
    WHERE table = {table:String} AND key IN {keys:Array(String)} AND version < {before:UInt128} AND deleted = 0
    GROUP BY key`,
  params: z.object({ table: z.string(), keys: z.array(z.string()), before: z.string() }),
  row: z.object({ key: z.string(), row: z.string() }),
})

/**
 * Fills in the values that UPDATEs did not send: from the change of the same row before, which stands in the same
 * batch, or in the log. Everything before the batch must be visible.
 * @param changes all of the batch from the first incomplete one on, in their order
 * @param before version of the first of them
 */
export async function completeChanges(
  warehouse: Warehouse,
  changes: readonly IncompleteChange[],
  before: bigint,
  readSource: SourceRows,
): Promise<void> {
  const known = await fetchFormerRows(warehouse, changes, before, readSource)
  for (const change of changes) {
    const former = known.get(rowId(change.codec, change.formerKey))
    for (const place of change.missing) {
      // Gone from the log and the source: a later change deletes the row.
      change.values[place] = former?.get(change.codec.columns[place]!.name) ?? jsonNull
    }
    // A key's change comes as the old key's tombstone and then the row, which still needs the values from before.
    if (change.header.op !== 'd') known.set(rowId(change.codec, change.key), namedValues(change))
  }
}

const rowId = (codec: TableCodec, key: string) => `${codec.qualifiedName}\n${key}`

function namedValues({ codec, values }: IncompleteChange): Map<string, Buffer> {
  return new Map(codec.columns.flatMap(({ name }, place) => (values[place] ? [[name, values[place]]] : [])))
}

async function fetchFormerRows(
  warehouse: Warehouse,
  changes: readonly IncompleteChange[],
  before: bigint,
  readSource: SourceRows,
): Promise<Map<string, Map<string, Buffer>>> {
  const known = new Map<string, Map<string, Buffer>>()
  for (const [codec, keys] of wantedKeys(changes)) {
    for (let from = 0; from < keys.length; from += keysPerQuery) {
      const some = keys.slice(from, from + keysPerQuery)
      const rows = await warehouse.query(formerRows, {
        table: codec.qualifiedName,
        keys: some,
        before: before.toString(),
      })
      for (const { key, row } of rows) known.set(rowId(codec, key), jsonMembers(Buffer.from(row)))
      const unknown = some.filter((key) => !known.has(rowId(codec, key)))
      if (unknown.length === 0) continue
      for (const [key, values] of await readSource(codec, unknown)) known.set(rowId(codec, key), values)
    }
  }
  return known
}

/** The rows that are not in the batch before they are asked for. */
function wantedKeys(changes: readonly IncompleteChange[]): Map<TableCodec, string[]> {
  const touched = new Set<string>()
  const wanted = new Map<string, { codec: TableCodec; keys: Set<string> }>()
  for (const { header, codec, key, formerKey, missing } of changes) {
    if (missing.length > 0 && !touched.has(rowId(codec, formerKey))) {
      const entry = wanted.get(codec.qualifiedName) ?? { codec, keys: new Set<string>() }
      wanted.set(codec.qualifiedName, entry)
      entry.keys.add(formerKey)
    }
    if (header.op !== 'd') touched.add(rowId(codec, key))
  }
  return new Map([...wanted.values()].map(({ codec, keys }) => [codec, [...keys]]))
}
