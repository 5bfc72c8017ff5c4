import { setTimeout as delay } from 'node:timers/promises'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const bigint = z.string().transform(BigInt)

/** A prosthesis as the replicas and the log have it. */
export const replicatedProsthesis = z.object({
  id: z.string(),
  userId: z.string(),
  chipId: z.string(),
  modelId: z.int(),
  firmwareVersion: z.string(),
  issuedDay: z.int(),
  returnedDay: z.int().nullable(),
})

/** Every version that a replica holds, those of rows that are gone too. */
const versionsSql = `(
      SELECT 'public.customers' AS table, toString(id) AS id, _version FROM crm.customers
      UNION ALL
      SELECT 'public.prostheses' AS table, toString(id) AS id, _version FROM crm.prostheses
      UNION ALL
      SELECT 'public.prosthesis_models' AS table, toString(id) AS id, _version FROM crm.prosthesis_models
    )`

const newestVersion = defineQuery({
  name: 'etl-newest-crm-change',
  sql: `SELECT toString(max(_version)) AS version FROM ${versionsSql}`,
  params: z.object({}),
  row: z.object({ version: bigint }),
})

/**
 * That of the feed which wrote last: one that was given up stays where it was, and another history of the source may
 * be counted from below it.
 */
const feedPosition = defineQuery({
  name: 'etl-feed-position',
  sql: `
    SELECT toString(whole_before) AS "wholeBefore"
    FROM cdc.positions FINAL
    WHERE lsn > 0
    ORDER BY stored_at DESC
    LIMIT 1`,
  params: z.object({}),
  row: z.object({ wholeBefore: bigint }),
})

/**
 * Rows of a whole read are no exception. Those of another snapshot of the embedded feed lie above until all of it is
 * stored: one table is of then and the next one of before. Those of cdc's resync lie right above the newest change of
 * their table that they have seen, and are held back with it; right after a snapshot, until the feed goes on.
 */
const rowsInMotion = defineQuery({
  name: 'etl-rows-in-motion',
  sql: `SELECT DISTINCT table, id FROM ${versionsSql} WHERE _version >= {from:UInt128}`,
  params: z.object({ from: z.string() }),
  row: z.object({ table: z.string(), id: z.string() }),
})

/** What the log says of rows before a version: one row for each that it knows anything of. */
const rowsBefore = defineQuery({
  name: 'etl-rows-before',
  sql: `
    SELECT
      table,
      replaceAll(JSONExtractRaw(key, 'id'), '"', '') AS id,
      toBool(countIf(version < {from:UInt128}) > 0) AS "wasLogged",
      toBool(wasLogged AND argMaxIf(deleted, version, version < {from:UInt128}) = 0) AS "wasThere",
      toBool(argMin(op, version) = 'c') AS "isNew",
      argMaxIf(row, version, version < {from:UInt128}) AS before,
      JSONExtractString(before, 'time_zone') AS "timeZone",
      JSONExtractString(before, 'customer_id') AS "userId",
      JSONExtractString(before, 'chip_id') AS "chipId",
      JSONExtractInt(before, 'model_id') AS "modelId",
      JSONExtractString(before, 'firmware_version') AS "firmwareVersion",
      toInt32(toDate32OrZero(substring(JSONExtractString(before, 'issued_at'), 1, 10))) AS "issuedDay",
      toInt32(toDate32OrNull(substring(JSONExtractString(before, 'returned_at'), 1, 10))) AS "returnedDay"
    FROM cdc.events
    WHERE table IN ('public.customers', 'public.prostheses', 'public.prosthesis_models')
      AND key IN {keys:Array(String)}
    GROUP BY table, key`,
  params: z.object({ from: z.string(), keys: z.array(z.string()) }),
  row: replicatedProsthesis.extend({
    table: z.string(),
    wasLogged: z.boolean(),
    wasThere: z.boolean(),
    isNew: z.boolean(),
    modelId: z.coerce.number<string>(),
    timeZone: z.string(),
  }),
})

type RowBefore = z.output<typeof rowsBefore.row>

const waitForLogMs = 5_000

/** ClickHouse's own limit for a parameter is 128 KiB; a key has about 50 bytes. */
const keysAtOnce = 1_000

/**
 * The newest version that a replica shows, 0 when there is none; and up to which version transactions are whole there,
 * once that is above it, or takes too long: undefined where no feed has come anywhere yet.
 */
export async function waitForFeed(
  warehouse: Warehouse,
  timeoutMs: number,
): Promise<{ version: bigint; wholeBefore: bigint | undefined }> {
  const deadline = performance.now() + timeoutMs
  const newest = warehouse.query(newestVersion, {})
  for (;;) {
    // The first may be of before the other: it never goes back.
    const [[shown], [position]] = await Promise.all([newest, warehouse.query(feedPosition, {})])
    const version = shown?.version ?? 0n
    const wholeBefore = position?.wholeBefore
    if (wholeBefore === undefined || wholeBefore > version || performance.now() >= deadline)
      return { version, wholeBefore }
    await delay(50)
  }
}

/** Rows of transactions that may not be whole yet: the first of their versions, and what there was before. */
export type InMotion = { from: bigint; before: RowBefore[] }

/** @returns undefined when everything that is visible lies below */
export async function findInMotion(warehouse: Warehouse, from: bigint): Promise<InMotion | undefined> {
  const rows = await warehouse.query(rowsInMotion, { from: String(from) })
  if (rows.length === 0) return undefined
  const keys = rows.map(({ table, id }) =>
    JSON.stringify({ id: table === 'public.prosthesis_models' ? Number(id) : id }),
  )
  // A view may have stored what the log does not show yet.
  const deadline = performance.now() + waitForLogMs
  for (;;) {
    const before = await readBefore(warehouse, from, keys)
    if (before.length >= rows.length || performance.now() >= deadline) return { from, before }
    await delay(50)
  }
}

async function readBefore(warehouse: Warehouse, from: bigint, keys: string[]): Promise<RowBefore[]> {
  const batches: RowBefore[][] = []
  for (let i = 0; i < keys.length; i += keysAtOnce) {
    const some = keys.slice(i, i + keysAtOnce)
    batches.push(await warehouse.query(rowsBefore, { from: String(from), keys: some }))
  }
  return batches.flat()
}

/**
 * Of a row without a past in the log, what stands is all there is, unless the log says that it was created: it has not
 * changed for so long that its past was dropped, or a whole read has found it first, which cannot be told apart.
 */
export function takeBack<Value>(
  rows: Map<string, Value>,
  { before }: InMotion,
  table: string,
  valueBefore: (before: RowBefore) => Value,
): void {
  for (const row of before) {
    if (row.table !== table) continue
    if (row.wasThere) rows.set(row.id, valueBefore(row))
    else if (row.wasLogged || row.isNew) rows.delete(row.id)
  }
}
