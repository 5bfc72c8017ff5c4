import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type { ClientBase } from 'pg'
import { z } from 'zod'
import {
  compareStorages,
  haveRows,
  readMover,
  type TableStorage,
  tableStorage,
} from '../source/table-storage.ts'
import { forgetSnapshot } from './snapshot-record.ts'

/** By qualified name. */
export type Storages = ReadonlyMap<string, TableStorage>

const notedStorages = defineQuery({
  name: 'noted-storages',
  sql: 'SELECT table, storage FROM cdc.table_storages FINAL',
  params: z.object({}),
  row: z.object({
    table: z.string(),
    storage: z.string().transform((json) => tableStorage.parse(JSON.parse(json))),
  }),
})

const truncatesOf = defineQuery({
  name: 'truncates-of-a-transaction',
  sql: `SELECT count() AS n FROM cdc.events
    WHERE table = {table:String} AND key = '' AND op = 't' AND tx_id = {tx_id:UInt64}`,
  params: z.object({ table: z.string(), tx_id: z.string() }),
  row: z.object({ n: z.coerce.number() }),
})

/**
 * Has tables read whole again that were rewritten since the feed last looked, whether it ran or not. One that was never looked at
 * is taken as it is: it is read whole as a new table, or was by a version of the feed that did not look.
 */
export async function forgetRewritten(
  source: ClientBase,
  warehouse: Warehouse,
  now: Storages,
  log: Log,
): Promise<void> {
  const noted = await readNotedStorages(warehouse)
  for (const table of await rewrittenTables(source, warehouse, noted, now)) {
    log.warn(
      { table },
      'it was rewritten, a partition came or went, or names or keys were others for a while: it is read again',
    )
    await forgetSnapshot(warehouse, table)
  }
  await noteStorages(warehouse, noted, now)
}

/** As the feed last saw them. */
export async function readNotedStorages(warehouse: Warehouse): Promise<Storages> {
  return new Map((await warehouse.query(notedStorages, {})).map((row) => [row.table, row.storage]))
}

/** From then on they are what is compared with. */
export async function noteStorages(warehouse: Warehouse, before: Storages, now: Storages): Promise<void> {
  const rows = changedStorages(before, now).map(([table, storage]) => ({
    table,
    storage: JSON.stringify(storage),
  }))
  if (rows.length > 0) await warehouse.insertRows('cdc.table_storages', rows)
}

export function changedStorages(before: Storages, now: Storages): [string, TableStorage][] {
  const text = (storage: TableStorage | undefined) => JSON.stringify(storage)
  return [...now].filter(([table, storage]) => text(before.get(table)) !== text(storage))
}

/** Names of tables whose values PostgreSQL has changed since, or whose partitions it has taken away, emptied or brought along. */
export async function rewrittenTables(
  source: ClientBase,
  warehouse: Warehouse,
  before: Storages,
  now: Storages,
): Promise<string[]> {
  const rewritten: string[] = []
  for (const [table, storage] of changedStorages(before, now)) {
    const former = before.get(table)
    if (former && (await isRewritten(source, warehouse, table, former, storage))) rewritten.push(table)
  }
  return rewritten
}

async function isRewritten(
  source: ClientBase,
  warehouse: Warehouse,
  table: string,
  before: TableStorage,
  now: TableStorage,
): Promise<boolean> {
  const { isCertain, moved, added } = compareStorages(before, now)
  if (isCertain) return true
  if (moved.length > 0 && !(await areTruncatedByRoot(source, warehouse, table, moved))) return true
  return haveRows(source, added)
}

/** A TRUNCATE of the whole table is in the log. */
async function areTruncatedByRoot(
  source: ClientBase,
  warehouse: Warehouse,
  table: string,
  moved: string[],
): Promise<boolean> {
  const mover = await readMover(source, moved)
  if (mover === undefined) return false
  const [found] = await warehouse.query(truncatesOf, { table, tx_id: mover })
  return found!.n > 0
}
