import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { isReadWhole } from '../whole-tables/shadow.ts'
import type { HeldChange } from './held-changes.ts'
import { jsonMembers } from './json-members.ts'
import type { TableCodec } from './table-codec.ts'

/** Values of some columns at the source as it is now, by key; for what the log does not tell. */
export type SourceRows = (
  codec: TableCodec,
  keys: string[],
  columns: TableCodec['columns'],
) => Promise<Map<string, Map<string, Buffer>>>

/** A change with what is known of its values; those at `missing` are filled in. */
export type IncompleteChange = Pick<HeldChange, 'codec' | 'key' | 'formerKey' | 'values' | 'missing'> & {
  header: Pick<HeldChange['header'], 'op'>
}

const keysPerQuery = 500
const jsonNull = Buffer.from('null')

// Only what came before: after a restart, the log may hold later changes already.
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
 *
 * Where that does not tell, from the source as it is now: either the value is the same still, or a later change says otherwise. So
 * it is
 * - while a table is read whole. The log may be wrong about it, as after ALTER TABLE … TYPE … USING, and the rows that put that
 *   right stand below a change of after the moment that is read, and may not be in the log yet. Whether a table is, is asked
 *   before the log: what is read later has seen these changes, and its rows stand above them;
 * - where a row gets another key. A value of before that came from the source may be of the row that had the key later; by
 *   Kafka, moreover, the change before it may stand in another partition, and not be in the log yet.
 * @param changes all of the batch from the first incomplete one on, in their order
 * @param before version of the first of them
 */
export async function completeChanges(
  warehouse: Warehouse,
  changes: readonly IncompleteChange[],
  before: bigint,
  readSource: SourceRows,
): Promise<void> {
  const inReading = await readWholeNow(warehouse, changes)
  const isTold = ({ codec, key, formerKey }: IncompleteChange) =>
    key === formerKey && !inReading.has(codec.qualifiedName)
  const known = await fetchFormerRows(warehouse, wantedKeys(changes, isTold), before)
  const unknown: IncompleteChange[] = []
  for (const change of changes) {
    const { codec, key, header, missing, values } = change
    const former = isTold(change) ? known.get(rowId(codec, key)) : undefined
    for (const place of missing) values[place] = former?.get(codec.columns[place]!.name)
    if (missing.some((place) => values[place] === undefined)) unknown.push(change)
    if (header.op !== 'd') known.set(rowId(codec, key), namedValues(change))
  }
  await completeFromSource(unknown, readSource)
}

/** By the key of now: the row of before has it no more, and another may have that one. */
async function completeFromSource(
  changes: readonly IncompleteChange[],
  readSource: SourceRows,
): Promise<void> {
  const shapeOf = ({ codec }: IncompleteChange) =>
    JSON.stringify([codec.qualifiedName, ...codec.columns.map(({ name }) => name)])
  for (const some of Map.groupBy(changes, shapeOf).values()) {
    const { codec } = some[0]!
    const wanted = codec.columns.filter((_, place) => some.some(({ missing }) => missing.includes(place)))
    const rows = await readSource(codec, [...new Set(some.map(({ key }) => key))], wanted)
    for (const { key, values, missing } of some) {
      // Gone from the source: a later change deletes the row, or gives it another key.
      for (const place of missing)
        values[place] ??= rows.get(key)?.get(codec.columns[place]!.name) ?? jsonNull
    }
  }
}

/** Names of the tables with incomplete changes that are. */
async function readWholeNow(
  warehouse: Warehouse,
  changes: readonly IncompleteChange[],
): Promise<Set<string>> {
  const incomplete = changes.filter(({ missing }) => missing.length > 0)
  const tables = new Map(incomplete.map(({ codec }) => [codec.qualifiedName, codec.replica] as const))
  const found = new Set<string>()
  for (const [name, replica] of tables) if (await isReadWhole(warehouse, replica)) found.add(name)
  return found
}

const rowId = (codec: TableCodec, key: string) => `${codec.qualifiedName}\n${key}`

function namedValues({ codec, values }: IncompleteChange): Map<string, Buffer> {
  return new Map(codec.columns.flatMap(({ name }, place) => (values[place] ? [[name, values[place]]] : [])))
}

async function fetchFormerRows(
  warehouse: Warehouse,
  wanted: ReadonlyMap<TableCodec, string[]>,
  before: bigint,
): Promise<Map<string, Map<string, Buffer>>> {
  const known = new Map<string, Map<string, Buffer>>()
  for (const [codec, keys] of wanted) {
    for (let from = 0; from < keys.length; from += keysPerQuery) {
      const rows = await warehouse.query(formerRows, {
        table: codec.qualifiedName,
        keys: keys.slice(from, from + keysPerQuery),
        before: before.toString(),
      })
      for (const { key, row } of rows) known.set(rowId(codec, key), jsonMembers(Buffer.from(row)))
    }
  }
  return known
}

/** The rows that are not in the batch before they are asked for, and that the log tells. */
function wantedKeys(
  changes: readonly IncompleteChange[],
  isTold: (change: IncompleteChange) => boolean,
): Map<TableCodec, string[]> {
  const touched = new Set<string>()
  const wanted = new Map<string, { codec: TableCodec; keys: Set<string> }>()
  for (const change of changes) {
    const { header, codec, key, missing } = change
    if (missing.length > 0 && isTold(change) && !touched.has(rowId(codec, key))) {
      const entry = wanted.get(codec.qualifiedName) ?? { codec, keys: new Set<string>() }
      wanted.set(codec.qualifiedName, entry)
      entry.keys.add(key)
    }
    if (header.op !== 'd') touched.add(rowId(codec, key))
  }
  return new Map([...wanted.values()].map(({ codec, keys }) => [codec, [...keys]]))
}
