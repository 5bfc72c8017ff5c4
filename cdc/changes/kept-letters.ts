import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { readFloor } from '../whole-tables/snapshot-record.ts'

const letter = z.object({
  table: z.string(),
  key: z.string(),
  version: z.string(),
  op: z.string(),
  encoding: z.string(),
  reason: z.string(),
  message: z.string(),
  committed_at: z.iso.datetime(),
  failed_at: z.iso.datetime(),
  /** Empty when it was read from the WAL in process. */
  topic: z.string(),
  partition: z.int(),
  offset: z.string(),
})

export type KeptLetter = z.infer<typeof letter>

// An empty name is every table.
export const ofTable = `({table:String} = '' OR table = {table:String})`

/**
 * A row has one letter to be dealt with. Each reading of its table, and each repair, writes another one, at a higher
 * version, beside which the older ones say nothing; what is no row of a known version stands by itself.
 */
export const isNewest = `(encoding != 'json' OR key = '' OR (table, key, dead_letters.version) IN (
  SELECT table, key, max(version) FROM cdc.dead_letters WHERE encoding = 'json' GROUP BY table, key))`

const keptLetters = defineQuery({
  name: 'dead-letters',
  sql: `
    SELECT table, key, toString(version) AS version, op, encoding, reason, message, committed_at, failed_at,
      topic, partition, toString(offset) AS offset
    FROM cdc.dead_letters FINAL WHERE ${ofTable} AND ${isNewest}
    ORDER BY failed_at DESC, dead_letters.version DESC LIMIT {limit:UInt32}`,
  params: z.object({ table: z.string(), limit: z.int() }),
  row: letter,
})

/** @param table all of them when it is undefined */
export function listDeadLetters(
  warehouse: Warehouse,
  table: string | undefined,
  limit: number,
): Promise<KeptLetter[]> {
  return warehouse.query(keptLetters, { table: table ?? '', limit })
}

const letterCounts = defineQuery({
  name: 'dead-letters-by-table',
  sql: `SELECT table, toUInt32(count()) AS n FROM cdc.dead_letters FINAL WHERE ${isNewest} GROUP BY table`,
  params: z.object({}),
  row: z.object({ table: z.string(), n: z.int() }),
})

/** How many are listed of each table that has some. */
export async function countLetters(warehouse: Warehouse): Promise<Map<string, number>> {
  return new Map((await warehouse.query(letterCounts, {})).map(({ table, n }) => [table, n]))
}

const lettersSinceRead = defineQuery({
  name: 'dead-letters-since-read',
  sql: `
    SELECT toUInt32(count()) AS n FROM cdc.dead_letters FINAL
    WHERE table = {table:String} AND ${isNewest} AND version >= {floor:UInt128}`,
  params: z.object({ table: z.string(), floor: z.bigint() }),
  row: z.object({ n: z.int() }),
})

/** How many rows became dead letters when the table was last read whole, and since. */
export async function countLettersSinceRead(warehouse: Warehouse, table: string): Promise<number> {
  const [counted] = await warehouse.query(lettersSinceRead, {
    table,
    floor: await readFloor(warehouse, table),
  })
  return counted!.n
}

const lettersOf = defineQuery({
  name: 'tables-with-dead-letters',
  sql: 'SELECT DISTINCT table FROM cdc.dead_letters FINAL WHERE table IN {tables:Array(String)}',
  params: z.object({ tables: z.array(z.string()) }),
  row: z.object({ table: z.string() }),
})

/** Those of the tables that have letters, whether they are carried or not. */
export async function tablesWithLetters(warehouse: Warehouse, tables: string[]): Promise<string[]> {
  return (await warehouse.query(lettersOf, { tables })).map(({ table }) => table)
}

const keptCount = defineQuery({
  name: 'dead-letters-count',
  sql: `
    SELECT toString(now64(6, 'UTC')) AS now, toUInt32(countIf(${isNewest})) AS n
    FROM cdc.dead_letters FINAL WHERE ${ofTable}`,
  params: z.object({ table: z.string() }),
  row: z.object({ now: z.string(), n: z.int() }),
})

/**
 * @param table all of them when it is undefined
 * @returns how many of those that are listed are gone
 */
export async function discardDeadLetters(warehouse: Warehouse, table = ''): Promise<number> {
  const [kept] = await warehouse.query(keptCount, { table })
  await warehouse.command(
    `ALTER TABLE cdc.dead_letters DELETE
     WHERE ${ofTable} AND failed_at <= toDateTime64({before:String}, 6, 'UTC') SETTINGS mutations_sync = 2`,
    { table, before: kept!.now },
  )
  return kept!.n
}

/** Tells letters apart as the table's sorting key does. */
export const letterId = 'toString(sipHash64(table, version, key, topic, partition, offset))'

/** Binds: ids. */
export const chosenLetters = `FROM cdc.dead_letters FINAL WHERE ${letterId} IN {ids:Array(String)}`
