import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { otherTypeSql } from '../derive/derive-view.ts'
import { unavailableJson } from '../kafka/derive-connector.ts'
import { isValueError } from './change-writer.ts'
import { reasonOf } from './dead-letters.ts'
import { chosenLetters, isNewest, letterId, ofTable } from './kept-letters.ts'
import { type LetterPlace, readAppliedPlaces, readPlaces, readSuperseded } from './letter-places.ts'
import { keepUnapplied, type UnappliedChange, unappliedReasons } from './unapplied.ts'
import { versionBatches } from './version-batches.ts'

/**
 * What can be tried again: a row, or a whole Kafka message, but for one that an UPDATE left incomplete, which only the
 * worker completes.
 */
const isRetried = `(encoding = 'json' OR encoding = 'kafka' AND position(message, {unavailable:String}) = 0)`

const begin = defineQuery({
  name: 'dead-letters-begin',
  sql: `
    SELECT toString(now64(6, 'UTC')) AS now, toUInt32(countIf(${isRetried} AND ${isNewest})) AS retried,
      toUInt32(countIf(NOT ${isRetried})) AS others
    FROM cdc.dead_letters FINAL WHERE ${ofTable}`,
  params: z.object({ table: z.string(), unavailable: z.string() }),
  row: z.object({ now: z.string(), retried: z.int(), others: z.int() }),
})

const nextLetters = defineQuery({
  name: 'dead-letters-next',
  sql: `
    SELECT ${letterId} AS id, encoding, ${isNewest} AS is_newest FROM cdc.dead_letters FINAL
    WHERE ${ofTable} AND ${isRetried} AND failed_at < toDateTime64({before:String}, 6, 'UTC')
    ORDER BY version LIMIT {limit:UInt32}`,
  params: z.object({ table: z.string(), unavailable: z.string(), before: z.string(), limit: z.int() }),
  row: z.object({ id: z.string(), encoding: z.enum(['json', 'kafka']), is_newest: z.coerce.boolean() }),
})

/** The same event, or the same message, once more. On a cluster, a block that was inserted before would be left out. */
const insertAgain = {
  json: `
    INSERT INTO cdc.events (table, key, version, lsn, op, deleted, row, tx_id, committed_at, topic, partition, offset)
    SELECT table, key, version, lsn, op, op = 'd', message, JSONExtractUInt(message, '__source_txId'), committed_at,
      topic, partition, offset
    ${chosenLetters} SETTINGS insert_deduplicate = 0`,
  kafka: `
    INSERT INTO cdc.messages (topic, partition, offset, key, value, error)
    SELECT topic, partition, offset, key, message, '' ${chosenLetters} SETTINGS insert_deduplicate = 0`,
}

const keepAgain = `
  INSERT INTO cdc.dead_letters
    (table, key, version, lsn, op, reason, encoding, message, committed_at, topic, partition, offset)
  SELECT table, key, version, lsn, op, {reason:String}, encoding, message, committed_at, topic, partition, offset
  ${chosenLetters}`

const forget = `
  ALTER TABLE cdc.dead_letters DELETE
  WHERE ${letterId} IN {ids:Array(String)} AND failed_at < toDateTime64({before:String}, 6, 'UTC')
  SETTINGS mutations_sync = 2`

const lettersAtOnce = 1000

export type RetryOutcome = { applied: number; superseded: number; failed_again: number; not_retried: number }

/**
 * Applies dead letters again. Those that fit now leave the table, and those that a later change has superseded, which
 * nobody would see, or a later letter of the same row, which are not counted. Those that do not fit are put there anew,
 * by the views, by this or with ClickHouse's words, which is how they are told apart.
 */
export async function retryDeadLetters(options: {
  warehouse: Warehouse
  /** Of the tables that are carried, as the source has them. */
  replicas: readonly ReplicaTable[]
  /** All letters when it is undefined. */
  table?: string | undefined
  onProgress?: (part: number) => void
  /** Called with the changes that were applied, before their letters go. */
  onApplied?: (applied: LetterPlace[]) => Promise<void>
}): Promise<RetryOutcome> {
  const { warehouse, replicas, table = '', onProgress, onApplied } = options
  const params = { table, unavailable: unavailableJson }
  const [start] = await warehouse.query(begin, params)
  const { now: before, retried, others } = start!
  let [tried, supersededCount] = [0, 0]
  for (;;) {
    const letters = await warehouse.query(nextLetters, { ...params, before, limit: lettersAtOnce })
    if (letters.length === 0) break
    const all = letters.map(({ id }) => id)
    const superseded = await readSuperseded(warehouse, all)
    const newest = letters.filter(({ is_newest }) => is_newest)
    const current = newest.filter(({ id }) => !superseded.has(id))
    for (const encoding of ['json', 'kafka'] as const) {
      const ids = current.filter((one) => one.encoding === encoding).map(({ id }) => id)
      if (ids.length > 0) await apply(warehouse, encoding, ids)
    }
    const again = current.map(({ id }) => id)
    await keepWhatReplicasDoNotTake(warehouse, replicas, await readPlaces(warehouse, again))
    if (onApplied) await onApplied(await readAppliedPlaces(warehouse, again, before))
    await warehouse.command(forget, { ids: all, before })
    tried += newest.length
    supersededCount += newest.length - current.length
    if (retried > 0) onProgress?.(tried / retried)
  }
  const [end] = await warehouse.query(begin, params)
  const applied = tried - supersededCount - end!.retried
  return { applied, superseded: supersededCount, failed_again: end!.retried, not_retried: others }
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

const ofOtherType = (replica: ReplicaTable) =>
  defineQuery({
    name: 'dead-letters-of-other-type',
    sql: otherTypeSql(replica, ' AND version IN {versions:Array(UInt128)}'),
    params: z.object({ versions: z.array(z.bigint()) }),
    row: z.object({ version: z.string().transform(BigInt) }),
  })

/** The log takes a row whatever its values are, and no view says that the replica did not. */
async function keepWhatReplicasDoNotTake(
  warehouse: Warehouse,
  replicas: readonly ReplicaTable[],
  tried: readonly LetterPlace[],
): Promise<void> {
  for (const replica of replicas) {
    const table = replica.source.qualifiedName
    const versions = tried.filter((one) => one.table === table).map(({ version }) => version)
    const unapplied: UnappliedChange[] = []
    for (const some of versionBatches(versions)) {
      for (const { version } of await warehouse.query(ofOtherType(replica), { versions: some }))
        unapplied.push({ table, version, reason: unappliedReasons.either })
    }
    await keepUnapplied(warehouse, unapplied)
  }
}
