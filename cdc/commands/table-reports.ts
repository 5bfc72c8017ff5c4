import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { type ReplicaTable, replicaTableName } from '../derive/derive-table.ts'
import { cdcErrors } from '../errors.ts'

export type TableReport = {
  table: string
  /** When it was read whole; null while it has not been. */
  snapshot_at: string | null
  rows: number | null
  last_change_at: string | null
  dead_letters: number
}

const snapshots = defineQuery({
  name: 'cdc-status-snapshots',
  sql: `SELECT table, finished_at FROM cdc.snapshots FINAL WHERE membership != ''`,
  params: z.object({}),
  row: z.object({ table: z.string(), finished_at: z.iso.datetime() }),
})

const lastChange = defineQuery({
  name: 'cdc-status-last-change',
  sql: 'SELECT max(committed_at) AS committed_at, count() > 0 AS found FROM cdc.events WHERE table = {table:String}',
  params: z.object({ table: z.string() }),
  row: z.object({ committed_at: z.iso.datetime(), found: z.coerce.boolean() }),
})

/**
 * @param dead how many dead letters there are, by table
 * @param missing tables whose replica is not there
 */
export async function readTableReports(
  warehouse: Warehouse,
  replicas: readonly ReplicaTable[],
  dead: ReadonlyMap<string, number>,
  missing: ReadonlyMap<string, unknown>,
): Promise<TableReport[]> {
  const finished = new Map((await warehouse.query(snapshots, {})).map((row) => [row.table, row.finished_at]))
  const reports = replicas.map(async (replica): Promise<TableReport> => {
    const table = replica.source.qualifiedName
    const [change] = await warehouse.query(lastChange, { table })
    return {
      table,
      snapshot_at: finished.get(table) ?? null,
      rows: finished.has(table) && !missing.has(table) ? await countRows(warehouse, replica) : null,
      last_change_at: change?.found ? change.committed_at : null,
      dead_letters: dead.get(table) ?? 0,
    }
  })
  return Promise.all(reports)
}

async function countRows(warehouse: Warehouse, replica: ReplicaTable): Promise<number> {
  const query = defineQuery({
    name: 'cdc-status-rows',
    sql: `SELECT count() AS n FROM ${replicaTableName(replica)} FINAL`,
    params: z.object({}),
    row: z.object({ n: z.coerce.number() }),
  })
  const [row] = await warehouse.query(query, {})
  return row!.n
}

/** Once the feed runs, it reads such a table by itself. */
export function unreadProblem({ table, snapshot_at }: TableReport): TendonError[] {
  if (snapshot_at !== null) return []
  return [
    cdcErrors.schemaChanged(
      `${table} was not read whole yet: it is new, has another shape, or all tables are read again; ` +
        'until then its replica stays as it was.',
    ),
  ]
}
