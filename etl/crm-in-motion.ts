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
    SELECT toString(position) AS "end", toString(lsn) AS "endLsn"
    FROM cdc.positions FINAL
    WHERE lsn > 0
    ORDER BY stored_at DESC
    LIMIT 1`,
  params: z.object({}),
  row: z.object({ end: bigint, endLsn: bigint }),
})

/** The first transaction that is not known to be whole: the upper half of its changes' versions. */
const firstInMotion = defineQuery({
  name: 'etl-first-in-motion',
  sql: `
    SELECT toString(min(bitShiftRight(_version, 64))) AS transaction, toUInt32(count()) AS changes
    FROM ${versionsSql}
    WHERE _version >= {whole_end:UInt128} OR toUInt64(_version) >= {end_lsn:UInt64}`,
  params: z.object({ whole_end: z.string(), end_lsn: z.string() }),
  row: z.object({ transaction: bigint, changes: z.int() }),
})

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

/** Up to where the change feed has come: every transaction that was committed below is whole in the replicas. */
export type FeedPosition = { end: bigint; endLsn: bigint }

/** The first version that may belong to a transaction at the position: a snapshot's rows stand there with 0 and 1. */
const wholeEnd = (transaction: bigint) => (transaction << 64n) + 2n

const isWhole = (version: bigint, { end, endLsn }: FeedPosition) =>
  version < wholeEnd(end) && BigInt.asUintN(64, version) < endLsn

/** The newest version that a replica shows; 0 when there is none. */
export async function readNewestCrmChange(warehouse: Warehouse): Promise<bigint> {
  const [newest] = await warehouse.query(newestVersion, {})
  return newest?.version ?? 0n
}

/**
 * The feed's position, once it has passed a version, or where it is when that takes too long.
 * @returns undefined where no feed has come anywhere yet
 */
export async function waitForFeed(
  warehouse: Warehouse,
  version: bigint,
  timeoutMs: number,
): Promise<FeedPosition | undefined> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const [position] = await warehouse.query(feedPosition, {})
    if (!position || isWhole(version, position) || performance.now() >= deadline) return position
    await delay(50)
  }
}

/** Rows of transactions that may not be whole yet: the first of their versions, and what there was before. */
export type InMotion = { from: bigint; before: RowBefore[] }

/** @returns undefined when everything that is visible is whole */
export async function findInMotion(
  warehouse: Warehouse,
  { end, endLsn }: FeedPosition,
): Promise<InMotion | undefined> {
  const [first] = await warehouse.query(firstInMotion, {
    whole_end: String(wholeEnd(end)),
    end_lsn: String(endLsn),
  })
  if (!first || first.changes === 0) return undefined
  const from = wholeEnd(first.transaction)
  const rows = await warehouse.query(rowsInMotion, { from: String(from) })
  const keys = rows.map(({ table, id }) =>
    JSON.stringify({ id: table === 'public.prosthesis_models' ? Number(id) : id }),
  )
  // A view may have stored what the log does not show yet.
  const deadline = performance.now() + waitForLogMs
  for (;;) {
    const before = await warehouse.query(rowsBefore, { from: String(from), keys })
    if (before.length >= rows.length || performance.now() >= deadline) return { from, before }
    await delay(50)
  }
}

/** Of a row that has not changed for so long that the log has dropped its past, what stands is all there is. */
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
