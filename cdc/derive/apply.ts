import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type { ClientBase } from 'pg'
import pg from 'pg'
import { z } from 'zod'
import { rowsOf } from '../source/rows-of.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import { forgetRewritten } from '../whole-tables/rewritten-tables.ts'
import { forgetSnapshot, readFinishedSnapshots } from '../whole-tables/snapshot-record.ts'
import type { Catalog } from './catalog.ts'
import type { ColumnMapping } from './column-mapping.ts'
import {
  columnComment,
  columnDefinition,
  createReplicaSql,
  type ReplicaTable,
  replicaTableName,
} from './derive-table.ts'
import { deriveViews, isViewOf } from './derive-view.ts'
import { lacksView } from './missing-replicas.ts'
import { chIdentifier, pgRowsOf } from './sql-names.ts'

const replicaColumns = defineQuery({
  name: 'replica-columns',
  sql: `SELECT name, type, comment FROM system.columns WHERE database = 'crm' AND table = {table:String}`,
  params: z.object({ table: z.string() }),
  row: z.object({ name: z.string(), type: z.string(), comment: z.string() }),
})

const replicaKey = defineQuery({
  name: 'replica-key',
  sql: `SELECT sorting_key FROM system.tables WHERE database = 'crm' AND name = {table:String}`,
  params: z.object({ table: z.string() }),
  row: z.object({ sorting_key: z.string() }),
})

const existingViews = defineQuery({
  name: 'existing-views',
  sql: `SELECT name FROM system.tables WHERE database = 'cdc' AND engine = 'MaterializedView'`,
  params: z.object({}),
  row: z.object({ name: z.string() }),
})

/**
 * Brings `crm.<table>` and the views of each table to what the registry and the source's catalog say. Where the
 * log is not enough to fill the table's new shape, its snapshot is forgotten first, so that the feed reads it whole
 * even if it dies in between.
 *
 * A replica that cannot be altered into its new shape is left to its readers as it was, and no event reaches it any
 * more, until `resyncTable` puts another one in its place. A table that cannot be carried is read whole once it can be again.
 * @param options.runsAhead changes are applied meanwhile, by the views of before
 * @returns those that are in shape
 */
export async function applyReplicas(
  source: ClientBase,
  warehouse: Warehouse,
  { replicas, refused, storages }: Pick<Catalog, 'replicas' | 'refused' | 'storages'>,
  log: Log,
  options: { runsAhead?: boolean } = {},
): Promise<ReplicaTable[]> {
  if (refused.length > 0) {
    const read = await readFinishedSnapshots(warehouse)
    for (const table of refused.filter((name) => read.get(name))) await forgetSnapshot(warehouse, table)
  }
  await forgetRewritten(source, warehouse, storages, log)
  const ofAll = await viewNames(warehouse)
  const inShape: ReplicaTable[] = []
  for (const replica of replicas) {
    const views = ofAll.filter((name) => isItsView(replica, name))
    if (await applyTable(source, warehouse, replica, log, options.runsAhead ?? false)) {
      // What came while there was none has passed the replica by.
      if (lacksView(replica, views)) await forgetSnapshot(warehouse, replica.source.qualifiedName)
      await replaceViews(warehouse, replica, views, log)
      inShape.push(replica)
    } else await dropViews(warehouse, views)
  }
  return inShape
}

/** @returns whether the table has its shape now */
async function applyTable(
  source: ClientBase,
  warehouse: Warehouse,
  replica: ReplicaTable,
  log: Log,
  runsAhead: boolean,
): Promise<boolean> {
  const table = replica.source.qualifiedName
  const existing = await warehouse.query(replicaColumns, { table: replica.name })
  if (existing.length === 0) {
    await forgetSnapshot(warehouse, table)
    await warehouse.command(createReplicaSql(replica))
    log.info({ table }, 'made the replica')
    return true
  }
  const { added, widened, isOther } = compareColumns(replica, existing)
  if (isOther || !(await hasItsKey(warehouse, replica))) {
    // PostgreSQL rewrites a table without a word in the WAL, so that the old values are worth nothing.
    await forgetSnapshot(warehouse, table)
    log.warn(
      { table },
      'its key or a column is another one: the replica stays as it was until another takes its place',
    )
    return false
  }
  // Values that come before the view is another one pass the column by.
  if (runsAhead ? added.length + widened.length > 0 : await someHaveValues(source, replica.source, added))
    await forgetSnapshot(warehouse, table)
  const alter = `ALTER TABLE ${replicaTableName(replica)}`
  for (const column of widened) {
    await warehouse.command(`${alter} MODIFY COLUMN ${columnDefinition(replica, column)}`)
  }
  for (const column of added) {
    await warehouse.command(`${alter} ADD COLUMN ${columnDefinition(replica, column)}`)
    log.info({ table, column: column.name }, 'added a column to the replica')
  }
  return true
}

/** The columns that are to be added, those that are to take NULLs too, and whether one is not as it was made. */
function compareColumns(
  replica: ReplicaTable,
  existing: z.infer<typeof replicaColumns.row>[],
): { added: ColumnMapping[]; widened: ColumnMapping[]; isOther: boolean } {
  const held = new Map(existing.map((column) => [column.name, column]))
  const known = replica.columns.filter(({ name }) => held.has(name))
  const widened = known.filter(({ name, columnType }) => columnType === `Nullable(${held.get(name)!.type})`)
  const isOther = known.some((column) => {
    const { type, comment } = held.get(column.name)!
    // A replica that could hold more is right too.
    const fits = type === column.columnType || type === `Nullable(${column.columnType})`
    return comment !== columnComment(replica, column) || !(fits || widened.includes(column))
  })
  return { added: replica.columns.filter(({ name }) => !held.has(name)), widened, isOther }
}

async function hasItsKey(warehouse: Warehouse, replica: ReplicaTable): Promise<boolean> {
  const [key] = await warehouse.query(replicaKey, { table: replica.name })
  const sortingKey = replica.key.map((column) => sortingKeyName(column.name)).join(', ')
  // The engine shows the key of one column in the parentheses it was given in, or without.
  return key?.sorting_key.replace(/^\((.*)\)$/, '$1') === sortingKey
}

/** Rows that were there before a column was added, and got its default, have no event that says so. */
async function someHaveValues(
  source: ClientBase,
  table: SourceTable,
  columns: ColumnMapping[],
): Promise<boolean> {
  if (columns.length === 0) return false
  const hasValue = columns
    .map(({ name }) => `${pg.escapeIdentifier(name)} IS DISTINCT FROM NULL`)
    .join(' OR ')
  const [row] = await rowsOf(
    source,
    z.object({ found: z.boolean() }),
    `SELECT EXISTS (SELECT FROM ${pgRowsOf(table)} WHERE ${hasValue}) AS found`,
  )
  return row?.found === true
}

/** As system.tables shows it: quoted only where a name needs it. */
function sortingKeyName(name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : chIdentifier(name)
}

/** The views that carry events into a replica, and those that find misfits, as they are derived by now. */
export const applyViews = async (warehouse: Warehouse, replica: ReplicaTable, log: Log): Promise<void> =>
  replaceViews(warehouse, replica, await viewsOf(warehouse, replica), log)

/** The new view is there before the old one goes: between the two, an event is only applied twice. */
async function replaceViews(
  warehouse: Warehouse,
  replica: ReplicaTable,
  existing: string[],
  log: Log,
): Promise<void> {
  const views = deriveViews(replica)
  for (const view of views) {
    if (existing.includes(view.name)) continue
    await warehouse.command(view.sql)
    log.info({ table: replica.source.qualifiedName, view: view.name }, 'made a view')
  }
  const current = new Set(views.map(({ name }) => name))
  await dropViews(
    warehouse,
    existing.filter((name) => !current.has(name)),
  )
}

/** Takes a replica away, and what carries events into it. They stay in the log. */
export async function dropReplica(warehouse: Warehouse, replica: Pick<ReplicaTable, 'name'>): Promise<void> {
  await dropViews(warehouse, await viewsOf(warehouse, replica))
  await warehouse.command(`DROP TABLE IF EXISTS ${replicaTableName(replica)} SYNC`)
}

async function dropViews(warehouse: Warehouse, names: string[]): Promise<void> {
  for (const name of names) await warehouse.command(`DROP VIEW cdc.${chIdentifier(name)} SYNC`)
}

const viewNames = async (warehouse: Warehouse) =>
  (await warehouse.query(existingViews, {})).map(({ name }) => name)

const isItsView = (replica: Pick<ReplicaTable, 'name'>, name: string) =>
  isViewOf(replica, 'apply', name) || isViewOf(replica, 'misfits', name)

const viewsOf = async (warehouse: Warehouse, replica: Pick<ReplicaTable, 'name'>) =>
  (await viewNames(warehouse)).filter((name) => isItsView(replica, name))

/** Whether no event reaches the replica: it has another shape than its source. */
export async function isDetached(warehouse: Warehouse, replica: ReplicaTable): Promise<boolean> {
  return (await viewsOf(warehouse, replica)).length === 0
}

/** Whether a column of the source is not there yet. */
export async function lacksColumns(warehouse: Warehouse, replica: ReplicaTable): Promise<boolean> {
  const existing = await warehouse.query(replicaColumns, { table: replica.name })
  return compareColumns(replica, existing).added.length > 0
}
