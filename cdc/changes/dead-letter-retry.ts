import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { unavailableJson } from '../kafka/derive-connector.ts'
import { isValueError } from './change-writer.ts'
import { reasonOf } from './dead-letters.ts'

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
const ofTable = `({table:String} = '' OR table = {table:String})`

const keptLetters = defineQuery({
  name: 'dead-letters',
  sql: `
    SELECT table, key, toString(version) AS version, op, encoding, reason, message, committed_at, failed_at,
      topic, partition, toString(offset) AS offset
    FROM cdc.dead_letters FINAL WHERE ${ofTable} ORDER BY failed_at DESC, dead_letters.version DESC LIMIT {limit:UInt32}`,
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

const keptCount = defineQuery({
  name: 'dead-letters-count',
  sql: `SELECT toString(now64(6, 'UTC')) AS now, toUInt32(count()) AS n FROM cdc.dead_letters FINAL WHERE ${ofTable}`,
  params: z.object({ table: z.string() }),
  row: z.object({ now: z.string(), n: z.int() }),
})

/**
 * @param table all of them when it is undefined
 * @returns how many letters are gone
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
const id = 'toString(sipHash64(table, version, key, topic, partition, offset))'

/**
 * What can be tried again: a row, or a whole Kafka message, but for one that an UPDATE left incomplete, which only the
 * worker completes.
 */
const isRetried = `(encoding = 'json' OR encoding = 'kafka' AND position(message, {unavailable:String}) = 0)`

const begin = defineQuery({
  name: 'dead-letters-begin',
  sql: `
    SELECT toString(now64(6, 'UTC')) AS now, toUInt32(countIf(${isRetried})) AS retried,
      toUInt32(countIf(NOT ${isRetried})) AS others
    FROM cdc.dead_letters FINAL WHERE ${ofTable}`,
  params: z.object({ table: z.string(), unavailable: z.string() }),
  row: z.object({ now: z.string(), retried: z.int(), others: z.int() }),
})

const nextLetters = defineQuery({
  name: 'dead-letters-next',
  sql: `
    SELECT ${id} AS id, encoding FROM cdc.dead_letters FINAL
    WHERE ${ofTable} AND ${isRetried} AND failed_at < toDateTime64({before:String}, 6, 'UTC')
    ORDER BY version LIMIT {limit:UInt32}`,
  params: z.object({ table: z.string(), unavailable: z.string(), before: z.string(), limit: z.int() }),
  row: z.object({ id: z.string(), encoding: z.enum(['json', 'kafka']) }),
})

const chosen = `FROM cdc.dead_letters FINAL WHERE ${id} IN {ids:Array(String)}`

/** The same event, or the same message, once more. On a cluster, a block that was inserted before would be left out. */
const insertAgain = {
  json: `
    INSERT INTO cdc.events (table, key, version, lsn, op, deleted, row, tx_id, committed_at, topic, partition, offset)
    SELECT table, key, version, lsn, op, op = 'd', message, JSONExtractUInt(message, '__source_txId'), committed_at,
      topic, partition, offset
    ${chosen} SETTINGS insert_deduplicate = 0`,
  kafka: `
    INSERT INTO cdc.messages (topic, partition, offset, key, value, error)
    SELECT topic, partition, offset, key, message, '' ${chosen} SETTINGS insert_deduplicate = 0`,
}

const keepAgain = `
  INSERT INTO cdc.dead_letters
    (table, key, version, lsn, op, reason, encoding, message, committed_at, topic, partition, offset)
  SELECT table, key, version, lsn, op, {reason:String}, encoding, message, committed_at, topic, partition, offset
  ${chosen}`

const forget = `
  ALTER TABLE cdc.dead_letters DELETE
  WHERE ${id} IN {ids:Array(String)} AND failed_at < toDateTime64({before:String}, 6, 'UTC')
  SETTINGS mutations_sync = 2`

const triedKey = z.object({ table: z.string(), key: z.string() })
export type TriedKey = z.infer<typeof triedKey>

/** A message's table and key stand in the event that was made of it; a row's in the letter. */
const triedKeys = defineQuery({
  name: 'dead-letters-tried',
  sql: `
    SELECT table, key ${chosen} AND encoding = 'json'
    UNION DISTINCT
    SELECT table, key FROM cdc.events
    WHERE (topic, partition, offset) IN (SELECT topic, partition, offset ${chosen} AND encoding = 'kafka')`,
  params: z.object({ ids: z.array(z.string()) }),
  row: triedKey,
})

const lettersAtOnce = 1000

/**
 * Applies dead letters again. Those that fit now leave the table; those that do not are put there anew, by the views or
 * with ClickHouse's words, which is how the two are told apart.
 */
export async function retryDeadLetters(options: {
  warehouse: Warehouse
  /** All of them when it is undefined. */
  table?: string | undefined
  onProgress?: (part: number) => void
  /** Called with keys as in the log, of letters that were tried. */
  onTried?: (tried: TriedKey[]) => Promise<void>
}): Promise<{ applied: number; failed_again: number; not_retried: number }> {
  const { warehouse, table = '', onProgress, onTried } = options
  const params = { table, unavailable: unavailableJson }
  const [start] = await warehouse.query(begin, params)
  const { now: before, retried, others } = start!
  let tried = 0
  for (;;) {
    const letters = await warehouse.query(nextLetters, { ...params, before, limit: lettersAtOnce })
    if (letters.length === 0) break
    for (const encoding of ['json', 'kafka'] as const) {
      const ids = letters.filter((one) => one.encoding === encoding).map((one) => one.id)
      if (ids.length > 0) await apply(warehouse, encoding, ids)
    }
    await onTried?.(await warehouse.query(triedKeys, { ids: letters.map((one) => one.id) }))
    await warehouse.command(forget, { ids: letters.map((one) => one.id), before })
    tried += letters.length
    onProgress?.(tried / retried)
  }
  const [end] = await warehouse.query(begin, params)
  return { applied: tried - end!.retried, failed_again: end!.retried, not_retried: others }
}

/** Halves what is refused until single letters are left. */
async function apply(warehouse: Warehouse, encoding: 'json' | 'kafka', ids: string[]): Promise<void> {
  try {
    await warehouse.command(insertAgain[encoding], { ids })
  } catch (error) {
    if (!isValueError(error)) throw error
    if (ids.length === 1) return warehouse.command(keepAgain, { ids, reason: reasonOf(error) })
    const middle = ids.length >> 1
    await apply(warehouse, encoding, ids.slice(0, middle))
    await apply(warehouse, encoding, ids.slice(middle))
  }
}
