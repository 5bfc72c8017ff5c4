import { createHash } from 'node:crypto'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { chIdentifier, chLiteral } from '../derive/sql-names.ts'
import { debeziumVersionSql, historyPattern, sequencePattern } from './debezium-version.ts'
import { unavailableJson } from './derive-connector.ts'

const metadata = `Tuple(__op String, __source_lsn UInt64, __source_ts_us Int64, __source_schema String,
  __source_table String, __source_txId UInt64, __source_sequence String, __history String)`

/** A TRUNCATE stays in Debezium's envelope: ExtractNewRecordState would drop it. */
const envelope = `Tuple(op String, source Tuple(schema String, table String, lsn UInt64, txId UInt64, ts_us Int64,
  sequence String), __history String)`

const version = debeziumVersionSql({
  op: 'm.__op',
  sequence: 'm.__source_sequence',
  history: 'm.__history',
})

/** Of a read whose time Debezium does not tell: the log's partitions and its TTL go by it. */
const committedAt = (micros: string) =>
  `if(${micros} > 0, fromUnixTimestamp64Micro(${micros}, 'UTC'), now64(6, 'UTC'))`

/** A deleted row has its key only, whatever the replica identity sends along. */
const deletedRow = `concat(substring(key, 1, length(key) - 1), ',"__op":"d","__deleted":"true","__source_lsn":',
    toString(m.__source_lsn), ',"__source_ts_ms":', toString(intDiv(m.__source_ts_us, 1000)), ',"__source_table":',
    toJSONString(m.__source_table), ',"__source_txId":', toString(m.__source_txId), '}')`

const hasPlace = (sequence: string, history: string) =>
  `match(${sequence}, ${chLiteral(sequencePattern)}) AND match(${history}, ${chLiteral(historyPattern)})`

const isChange = `m.__op IN ('c', 'u', 'd', 'r') AND m.__source_table != '' AND startsWith(key, '{') AND isValidJSON(key)
  AND ${hasPlace('m.__source_sequence', 'm.__history')}`

const isTruncation = `e.op = 't' AND e.source.table != '' AND m.__op = ''
  AND ${hasPlace('e.source.sequence', 'e.__history')}`

/** Jackson writes what lies beyond the Basic Multilingual Plane as two escapes; a row has one key in the log. */
const normalKey = `if(position(key, '\\\\uD') > 0, JSONExtractRaw(concat('{"k":', key, '}'), 'k'), key)`

const parsedOf = (messages: string) => `
SELECT topic, partition, offset, ${normalKey} AS key, value, error, JSONExtract(value, ${chLiteral(metadata)}) AS m, JSONExtract(value, ${chLiteral(envelope)}) AS e
FROM ${messages}`
const parsed = parsedOf('cdc.messages')

/**
 * Where change messages go. Values that an UPDATE did not send (unchanged TOAST) are completed by the worker, which
 * inserts the event itself.
 */
export const messageViews = [
  {
    purpose: 'changes',
    target: 'cdc.events',
    select: `
SELECT concat(m.__source_schema, '.', m.__source_table) AS table, key, ${version} AS version, m.__source_lsn AS lsn,
  m.__op AS op, m.__op = 'd' AS deleted, if(m.__op = 'd', ${deletedRow}, value) AS row, m.__source_txId AS tx_id,
  ${committedAt('m.__source_ts_us')} AS committed_at, topic, partition, offset
FROM (${parsed})
WHERE error = '' AND ${isChange} AND (m.__op = 'd' OR position(value, ${chLiteral(unavailableJson)}) = 0)`,
  },
  {
    purpose: 'truncations',
    target: 'cdc.events',
    select: `
SELECT concat(e.source.schema, '.', e.source.table) AS table, '' AS key,
  ${debeziumVersionSql({ op: 'e.op', sequence: 'e.source.sequence', history: 'e.__history' })} AS version,
  e.source.lsn AS lsn, 't' AS op, 0 AS deleted, value AS row, e.source.txId AS tx_id,
  ${committedAt('e.source.ts_us')} AS committed_at, topic, partition, offset
FROM (${parsed})
WHERE error = '' AND ${isTruncation}`,
  },
  {
    purpose: 'refused',
    target: 'cdc.dead_letters',
    select: `
SELECT concat(m.__source_schema, if(m.__source_table = '', '', '.'), m.__source_table) AS table, key, toUInt128(0) AS version,
  m.__source_lsn AS lsn, m.__op AS op, 'kafka' AS encoding, value AS message,
  if(error != '', error, 'the message is not a change event with a key, as the connector of cdc/ makes them') AS reason,
  now64(6, 'UTC') AS committed_at, topic, partition, offset
FROM (${parsed})
WHERE error != '' OR NOT (${isChange} OR ${isTruncation})`,
  },
] as const

/**
 * Which row's change a message is, and its version; nothing of those that are none.
 * @param messages SQL of what has the columns of `cdc.messages`
 */
export const changePlacesSql = (messages: string): string => `
SELECT concat(m.__source_schema, '.', m.__source_table) AS table, key, ${version} AS version, topic, partition, offset
FROM (${parsedOf(messages)})
WHERE error = '' AND ${isChange}`

const prefix = 'messages '

const existingViews = defineQuery({
  name: 'existing-message-views',
  sql: `SELECT name FROM system.tables WHERE database = 'cdc' AND engine = 'MaterializedView' AND startsWith(name, {prefix:String})`,
  params: z.object({ prefix: z.string() }),
  row: z.object({ name: z.string() }),
})

/** Makes the views; one whose text has changed is there anew before the old one goes. */
export async function applyMessageViews(warehouse: Warehouse, log: Log): Promise<void> {
  const existing = (await warehouse.query(existingViews, { prefix })).map(({ name }) => name)
  const current = new Set<string>()
  for (const { purpose, target, select } of messageViews) {
    const name = `${prefix}${purpose} ${createHash('sha256').update(select).digest('hex').slice(0, 12)}`
    current.add(name)
    if (existing.includes(name)) continue
    await warehouse.command(
      `CREATE MATERIALIZED VIEW IF NOT EXISTS cdc.${chIdentifier(name)} TO ${target} AS ${select}`,
    )
    log.info({ view: name }, 'made a view')
  }
  for (const name of existing) {
    if (!current.has(name)) await warehouse.command(`DROP VIEW cdc.${chIdentifier(name)} SYNC`)
  }
}
