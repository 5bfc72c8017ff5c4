import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const finishedSnapshots = defineQuery({
  name: 'finished-snapshots',
  sql: 'SELECT table, membership FROM cdc.snapshots FINAL',
  params: z.object({}),
  row: z.object({ table: z.string(), membership: z.string() }),
})

/** Each table that was read whole, with its identity in the publication at that time ('' once forgotten). */
export async function readFinishedSnapshots(warehouse: Warehouse): Promise<Map<string, string>> {
  const rows = await warehouse.query(finishedSnapshots, {})
  return new Map(rows.map((row) => [row.table, row.membership]))
}

const floors = defineQuery({
  name: 'snapshot-floor',
  sql: 'SELECT toString(max(version)) AS version FROM cdc.snapshots WHERE table = {table:String}',
  params: z.object({ table: z.string() }),
  row: z.object({ version: z.string().transform(BigInt) }),
})

/** The table was read whole at this version: what the log has below it makes no row any more. 0 when it never was. */
export async function readFloor(warehouse: Warehouse, table: string): Promise<bigint> {
  const [row] = await warehouse.query(floors, { table })
  return row!.version
}

/** @param snapshot.version lowest of its rows; one that is lower than a former snapshot's (the table was empty) counts as that */
export async function recordSnapshot(
  warehouse: Warehouse,
  snapshot: { table: string; version: bigint; membership: string; rows: number },
): Promise<void> {
  const former = await readFloor(warehouse, snapshot.table)
  const version = snapshot.version > former ? snapshot.version : former
  await warehouse.insertRows('cdc.snapshots', [{ ...snapshot, version: version.toString() }])
}

/** Of rows with one version the last inserted counts, so that this undoes the record. */
export async function forgetSnapshot(warehouse: Warehouse, table: string): Promise<void> {
  await warehouse.command(
    `INSERT INTO cdc.snapshots (table, version, membership, rows)
     SELECT table, version, '', 0 FROM cdc.snapshots FINAL WHERE table = {table:String}`,
    { table },
  )
}

const forgottenSnapshots = defineQuery({
  name: 'forgotten-snapshots',
  sql: `SELECT table, finished_at FROM cdc.snapshots FINAL WHERE membership = ''`,
  params: z.object({}),
  row: z.object({ table: z.string(), finished_at: z.string() }),
})

/** Tables that are to be read again, and since when. */
export async function readForgotten(warehouse: Warehouse): Promise<Map<string, string>> {
  const rows = await warehouse.query(forgottenSnapshots, {})
  return new Map(rows.map(({ table, finished_at }) => [table, finished_at]))
}
