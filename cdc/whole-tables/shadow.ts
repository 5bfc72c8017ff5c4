import { randomBytes } from 'node:crypto'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { isDetached } from '../derive/apply.ts'
import { createReplicaSql, type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { deriveShadowView, viewNamePrefix } from '../derive/derive-view.ts'
import { chIdentifier } from '../derive/sql-names.ts'
import { cdcErrors } from '../errors.ts'

/**
 * A second table of a replica's shape, beside it and out of its readers' sight. Every event that is stored from now on
 * reaches both.
 */
export type Shadow = {
  /** The replica, but named `<table>__shadow_<run>`. */
  table: ReplicaTable
  view: string
  /** The replica's shape when the shadow was made; undefined when there was no replica. */
  shape: string | undefined
  /** No event reaches the replica: it has another shape than its source. */
  isDetached: boolean
}

const shadowNames = defineQuery({
  name: 'shadows',
  sql: `
    SELECT database, name FROM system.tables
    WHERE database = 'cdc' AND startsWith(name, {view:String}) OR database = 'crm' AND startsWith(name, {table:String})`,
  params: z.object({ view: z.string(), table: z.string() }),
  row: z.object({ database: z.string(), name: z.string() }),
})

const shadowViews = defineQuery({
  name: 'shadow-views',
  sql: `SELECT count() AS n FROM system.tables WHERE database = 'cdc' AND startsWith(name, {view:String})`,
  params: z.object({ view: z.string() }),
  row: z.object({ n: z.coerce.number() }),
})

/**
 * Whether somebody may be reading the table whole, at a moment that has been by now: the view is made before the moment, and
 * goes when all of its rows are in the log. That of a run that died goes with the next one.
 */
export async function isReadWhole(warehouse: Warehouse, replica: ReplicaTable): Promise<boolean> {
  const [views] = await warehouse.query(shadowViews, { view: viewNamePrefix(replica, 'shadow') })
  return views!.n > 0
}

const replicaShape = defineQuery({
  name: 'replica-shape',
  sql: `
    SELECT toJSONString(groupArray((name, type))) AS shape
    FROM (SELECT name, type FROM system.columns WHERE database = 'crm' AND table = {table:String} ORDER BY position)
    HAVING count() > 0`,
  params: z.object({ table: z.string() }),
  row: z.object({ shape: z.string() }),
})

/** Names and types of a replica's columns; undefined when there is none. */
export const readShape = async (warehouse: Warehouse, { name }: ReplicaTable) =>
  (await warehouse.query(replicaShape, { table: name }))[0]?.shape

const tablePrefix = ({ name }: ReplicaTable) => `${name}__shadow_`

/**
 * Runs with a shadow, which takes the replica's place when it is done, or is removed when that fails.
 * @param attach brings events into the replica again, and those that came since the shadow was filled
 * @throws TENDON-CDC-011 without `attach`, when the replica is detached
 */
export async function withShadow<Result>(
  warehouse: Warehouse,
  replica: ReplicaTable,
  fill: (shadow: Shadow) => Promise<Result>,
  attach?: (result: Result) => Promise<void>,
): Promise<Result> {
  // Those of a run that died; one that is still going fails when it comes to the exchange.
  await removeShadows(warehouse, replica)
  const table = { ...replica, name: tablePrefix(replica) + randomBytes(4).toString('hex') }
  const view = deriveShadowView(replica, replicaTableName(table))
  const shape = await readShape(warehouse, replica)
  const shadow = {
    table,
    view: view.name,
    shape,
    isDetached: shape !== undefined && (await isDetached(warehouse, replica)),
  }
  if (shadow.isDetached && !attach) {
    throw cdcErrors.schemaChanged(`${replica.source.qualifiedName} has another shape than its replica.`)
  }
  try {
    await warehouse.command(createReplicaSql(table))
    await warehouse.command(view.sql)
    const result = await fill(shadow)
    // The view would go on to write into what has the shadow's name, which then has the former shape.
    if (shadow.isDetached) await dropView(warehouse, shadow)
    await takePlace(warehouse, replica, shadow)
    if (shadow.isDetached) await attach?.(result)
    return result
  } finally {
    // After the exchange, what has its name is the replica of before. What cannot be removed, the next run removes.
    await dropShadow(warehouse, shadow).catch(() => {})
  }
}

/** The view first: an event that found it without its table would be refused. */
async function dropShadow(warehouse: Warehouse, shadow: Shadow): Promise<void> {
  await dropView(warehouse, shadow)
  await warehouse.command(`DROP TABLE IF EXISTS ${replicaTableName(shadow.table)} SYNC`)
}

const dropView = (warehouse: Warehouse, { view }: Shadow) =>
  warehouse.command(`DROP VIEW IF EXISTS cdc.${chIdentifier(view)} SYNC`)

async function takePlace(warehouse: Warehouse, replica: ReplicaTable, shadow: Shadow): Promise<void> {
  if ((await readShape(warehouse, replica)) !== shadow.shape) {
    throw cdcErrors.schemaChanged(
      `${replica.source.qualifiedName} has changed its shape meanwhile; run it again.`,
    )
  }
  const statement = shadow.shape === undefined ? 'RENAME TABLE' : 'EXCHANGE TABLES'
  const word = shadow.shape === undefined ? 'TO' : 'AND'
  await warehouse.command(
    `${statement} ${replicaTableName(shadow.table)} ${word} ${replicaTableName(replica)}`,
  )
}

async function removeShadows(warehouse: Warehouse, replica: ReplicaTable): Promise<void> {
  const [view, table] = [viewNamePrefix(replica, 'shadow'), tablePrefix(replica)]
  const left = await warehouse.query(shadowNames, { view, table })
  const named = (database: string, name: RegExp, prefix: string) =>
    left.filter((one) => one.database === database && name.test(one.name.slice(prefix.length)))
  for (const { name } of named('cdc', /^[0-9a-f]{12}$/, view)) {
    await warehouse.command(`DROP VIEW IF EXISTS cdc.${chIdentifier(name)} SYNC`)
  }
  for (const { name } of named('crm', /^[0-9a-f]{8}$/, table)) {
    await warehouse.command(`DROP TABLE IF EXISTS crm.${chIdentifier(name)} SYNC`)
  }
}

const shadowRows = defineQuery({
  name: 'shadow-rows',
  sql: `
    SELECT toFloat64(ifNull(sum(total_rows), 0)) AS rows FROM system.tables
    WHERE database = 'crm' AND startsWith(name, {table:String})`,
  params: z.object({ table: z.string() }),
  row: z.object({ rows: z.number() }),
})

/** How far whoever fills a replica's shadow is; 0 when nobody does. */
export async function rowsInShadow(warehouse: Warehouse, replica: ReplicaTable): Promise<number> {
  const [row] = await warehouse.query(shadowRows, { table: tablePrefix(replica) })
  return row!.rows
}
