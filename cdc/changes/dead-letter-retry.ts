import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { otherShapeSql } from '../derive/derive-view.ts'
import { unavailableJson } from '../kafka/derive-connector.ts'
import { changePlacesSql } from '../kafka/message-views.ts'
import { isValueError } from './change-writer.ts'
import { reasonOf } from './dead-letters.ts'
import { keepUnapplied, type UnappliedChange, unappliedReasons } from './unapplied.ts'
import { versionBatches } from './version-batches.ts'

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

/** The change that each letter holds. A message's table, key and version stand in itself, a row's in the letter. */
const places = `
  SELECT ${id} AS id, table, key, version ${chosen} AND encoding = 'json'
  UNION ALL
  SELECT id, table, key, version
  FROM (${changePlacesSql(`(SELECT topic, partition, offset, key, message AS value, '' AS error ${chosen} AND encoding = 'kafka')`)}) AS changes
  JOIN (SELECT ${id} AS id, topic, partition, offset ${chosen} AND encoding = 'kafka') AS letters
    USING (topic, partition, offset)`

const triedPlace = z.object({ table: z.string(), key: z.string(), version: z.string().transform(BigInt) })

const triedPlaces = defineQuery({
  name: 'dead-letters-tried',
  sql: `SELECT table, key, toString(version) AS version FROM (${places})`,
  params: z.object({ ids: z.array(z.string()) }),
  row: triedPlace,
})

export type TriedKey = { table: string; key: string }

/**
 * A change that came after a letter's may have left nothing in the replica that would hide it: what was never applied got no
 * tombstone by a TRUNCATE, nor in a replica that was read whole since.
 */
const supersededLetters = defineQuery({
  name: 'dead-letters-superseded',
  sql: `
    WITH places AS (${places}),
      later_rows AS (
        SELECT table, key, max(version) AS newest FROM cdc.events
        WHERE (table, key) IN (SELECT table, key FROM places) GROUP BY table, key
      ),
      whole_tables AS (
        SELECT table, max(version) AS newest FROM (
          SELECT table, version FROM cdc.snapshots
          UNION ALL
          SELECT table, version FROM cdc.events WHERE table IN (SELECT table FROM places) AND key = '' AND op = 't'
        ) GROUP BY table
      )
    SELECT places.id AS id FROM places
    LEFT JOIN later_rows ON later_rows.table = places.table AND later_rows.key = places.key
    LEFT JOIN whole_tables ON whole_tables.table = places.table
    WHERE places.version < greatest(later_rows.newest, whole_tables.newest)`,
  params: z.object({ ids: z.array(z.string()) }),
  row: z.object({ id: z.string() }),
})

const lettersAtOnce = 1000

const otherShape = (replica: ReplicaTable) =>
  defineQuery({
    name: 'dead-letters-other-shape',
    sql: otherShapeSql(replica, ' AND version IN {versions:Array(UInt128)}'),
    params: z.object({ versions: z.array(z.bigint()) }),
    row: z.object({ version: z.string().transform(BigInt) }),
  })

/** The log takes a row whatever its values are, and no view says that the replica did not. */
async function keepOtherShapes(
  warehouse: Warehouse,
  replicas: readonly ReplicaTable[],
  tried: readonly z.infer<typeof triedPlace>[],
): Promise<void> {
  for (const replica of replicas) {
    const table = replica.source.qualifiedName
    const versions = tried.filter((one) => one.table === table).map(({ version }) => version)
    const unapplied: UnappliedChange[] = []
    for (const some of versionBatches(versions)) {
      for (const { version } of await warehouse.query(otherShape(replica), { versions: some }))
        unapplied.push({ table, version, reason: unappliedReasons.shape })
    }
    await keepUnapplied(warehouse, unapplied)
  }
}

export type RetryOutcome = { applied: number; superseded: number; failed_again: number; not_retried: number }

/**
 * Applies dead letters again. Those that fit now leave the table, and those that a later change has superseded, which
 * nobody would see. Those that do not fit are put there anew, by the views, by this or with ClickHouse's words, which is
 * how they are told apart.
 */
export async function retryDeadLetters(options: {
  warehouse: Warehouse
  /** Of the tables that are carried, as the source has them. */
  replicas: readonly ReplicaTable[]
  /** All letters when it is undefined. */
  table?: string | undefined
  onProgress?: (part: number) => void
  /** Called with keys as in the log, of letters that were tried. */
  onTried?: (tried: TriedKey[]) => Promise<void>
}): Promise<RetryOutcome> {
  const { warehouse, replicas, table = '', onProgress, onTried } = options
  const params = { table, unavailable: unavailableJson }
  const [start] = await warehouse.query(begin, params)
  const { now: before, retried, others } = start!
  let [tried, superseded] = [0, 0]
  for (;;) {
    const letters = await warehouse.query(nextLetters, { ...params, before, limit: lettersAtOnce })
    if (letters.length === 0) break
    const all = letters.map((one) => one.id)
    const former = new Set((await warehouse.query(supersededLetters, { ids: all })).map((one) => one.id))
    const current = letters.filter((one) => !former.has(one.id))
    for (const encoding of ['json', 'kafka'] as const) {
      const ids = current.filter((one) => one.encoding === encoding).map((one) => one.id)
      if (ids.length > 0) await apply(warehouse, encoding, ids)
    }
    const places = await warehouse.query(triedPlaces, { ids: current.map((one) => one.id) })
    await keepOtherShapes(warehouse, replicas, places)
    await onTried?.(places)
    await warehouse.command(forget, { ids: all, before })
    tried += all.length
    superseded += former.size
    onProgress?.(tried / retried)
  }
  const [end] = await warehouse.query(begin, params)
  const applied = tried - superseded - end!.retried
  return { applied, superseded, failed_again: end!.retried, not_retried: others }
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
