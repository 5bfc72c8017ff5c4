import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Consumer, EachBatchPayload } from 'kafkajs'
import type { Catalog } from './catalog.ts'
import { type ChangeMessage, parseChangeMessage } from './change-message.ts'
import type { SourceRows } from './complete-changes.ts'
import { completeMessages } from './complete-messages.ts'
import { addKey, findConcernedUsers, type TableChanges } from './concerned-users.ts'
import type { ReplicaTable } from './derive-table.ts'
import { expandTombstonesSql } from './derive-view.ts'
import { cdcErrors } from './errors.ts'
import type { FeedMetrics } from './feed-metrics.ts'
import { type Invalidate, inCalls } from './invalidate.ts'
import { type KafkaProgress, type Offsets, partitionId } from './kafka-progress.ts'
import { retry } from './retry.ts'

/** Batches of other partitions go on while one waits. */
const partitionsAtOnce = 4

export type NewestChange = { version: bigint; committedAt: bigint }

export type ChangeConsumer = {
  /** Reads until something ends it. @throws what did */
  run(): Promise<never>
  /** Everything below these offsets is dealt with, in this life. */
  handled(): Offsets
}

/**
 * The worker's way through the change topics: waits until ClickHouse shows a batch, completes what it could not apply
 * by itself (unchanged TOAST, TRUNCATE), invalidates the users concerned, and commits last. Whatever it does may be
 * done again.
 */
export function createChangeConsumer(options: {
  consumer: Consumer
  topics: string[]
  progress: KafkaProgress
  catalog: Catalog
  warehouse: Warehouse
  readSource: SourceRows
  invalidate: Invalidate
  /** Resolves when everything committed at the source up to an LSN is in Kafka. */
  inKafka: (lsn: bigint) => Promise<void>
  /** A message that does not go with the catalog, which must have changed. */
  onOtherShape: (what: string) => void
  /** Called before anybody is told to look again: the reports they get say which changes they have seen. */
  onVisible: (newest: NewestChange) => Promise<void>
  log: Log
  metrics: FeedMetrics
  signal: AbortSignal
}): ChangeConsumer {
  const { consumer, topics, progress, catalog, warehouse, readSource, invalidate, log, metrics, signal } =
    options
  const { inKafka, onOtherShape, onVisible } = options
  const replicas = new Map(catalog.replicas.map((replica) => [replica.source.qualifiedName, replica]))
  const handled: Offsets = new Map()
  const again = { signal, log }

  async function handleBatch({ batch, heartbeat, isRunning, isStale }: EachBatchPayload): Promise<void> {
    const { topic, partition } = batch
    const messages = batch.messages.flatMap((message) => parseChangeMessage(topic, partition, message) ?? [])
    const end = BigInt(batch.lastOffset()) + 1n
    await progress.visible(new Map([[partitionId(topic, partition), end]]), heartbeat)
    for (const [replica, changes] of byReplica(messages)) {
      await retry('completing changes', again, () =>
        completeMessages({ warehouse, replica, messages: changes, readSource }),
      )
    }
    for (const message of messages) if (message.op === 't') await truncate(message, heartbeat)
    const newest = newestOf(messages)
    if (newest) {
      await onVisible(newest)
      await tellUsers(messages, heartbeat)
    }
    metrics.received(messages)
    if (!isRunning() || isStale()) return
    await consumer.commitOffsets([{ topic, partition, offset: end.toString() }])
    handled.set(partitionId(topic, partition), end)
  }

  function byReplica(messages: ChangeMessage[]): Map<ReplicaTable, ChangeMessage[]> {
    const groups = new Map<ReplicaTable, ChangeMessage[]>()
    for (const message of messages) {
      const replica = replicas.get(message.table)
      if (!replica) continue
      const group = groups.get(replica)
      if (group) group.push(message)
      else groups.set(replica, [message])
      compareShape(replica, message)
    }
    return groups
  }

  function compareShape({ source }: ReplicaTable, { table, columns, nulls }: ChangeMessage): void {
    for (const name of columns) {
      const isKnown = source.columns.some((column) => column.name === name) || source.omitted.includes(name)
      if (!isKnown) onOtherShape(`${table}.${name} is new`)
    }
    for (const name of nulls) {
      if (source.columns.some((column) => column.name === name && column.notNull)) {
        onOtherShape(`${table}.${name} may be NULL now`)
      }
    }
  }

  /**
   * Every row older than the TRUNCATE gets a tombstone. Rows that were there before may still be on their way through
   * other partitions; they are waited for, since what is not there yet cannot be told to be gone.
   */
  async function truncate(message: ChangeMessage, heartbeat: () => Promise<void>): Promise<void> {
    const replica = replicas.get(message.table)
    if (!replica) return
    await whileBeating(heartbeat, inKafka(BigInt(message.lsn)))
    await progress.visible(await progress.ends(), heartbeat)
    await retry('truncating a replica', again, () =>
      warehouse.command(expandTombstonesSql(replica), {
        version: message.version.toString(),
        lsn: message.lsn,
        tx_id: message.txId,
        committed_at: message.committedAt.toString(),
      }),
    )
  }

  async function tellUsers(messages: ChangeMessage[], heartbeat: () => Promise<void>): Promise<void> {
    const tables = new Map<string, TableChanges>()
    let [from, to] = [messages[0]!.version, messages[0]!.version]
    for (const { table, key, op, version } of messages) {
      const entry = replicas.get(table)?.source.entry
      if (!entry) continue
      const changes = tables.get(table) ?? { entry, keys: new Set<string>(), hasMoreInLog: false }
      tables.set(table, changes)
      if (op === 't') changes.hasMoreInLog = true
      else addKey(changes, key)
      if (version < from) from = version
      if (version > to) to = version
    }
    const users = await retry('finding the users concerned', again, () =>
      findConcernedUsers(warehouse, tables.values(), { from, to }),
    )
    for (const call of inCalls([...users])) {
      await whileBeating(
        heartbeat,
        retry('invalidating reports', again, () => invalidate(call, signal)),
      )
    }
  }

  return {
    handled: () => new Map(handled),
    async run() {
      const { promise: ended, reject } = Promise.withResolvers<never>()
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        reject(cdcErrors.kafkaUnavailable('Reading the change topics failed.', { cause: payload.error }))
      })
      await consumer.connect()
      await consumer.subscribe({ topics, fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: true,
        partitionsConsumedConcurrently: partitionsAtOnce,
        eachBatch: handleBatch,
      })
      return ended
    },
  }
}

function newestOf(messages: ChangeMessage[]): NewestChange | undefined {
  let newest: NewestChange | undefined
  for (const { version, committedAt } of messages) {
    if (!newest || version > newest.version) newest = { version, committedAt }
  }
  return newest
}

const heartbeatIntervalMs = 1_000

/** Keeps the membership in the consumer group while something takes long. */
async function whileBeating<Result>(heartbeat: () => Promise<void>, work: Promise<Result>): Promise<Result> {
  const done = new AbortController()
  const beating = (async () => {
    for (;;) {
      await delay(heartbeatIntervalMs, undefined, { signal: done.signal })
      await heartbeat()
    }
  })()
  beating.catch(() => {})
  try {
    return await work
  } finally {
    done.abort()
  }
}
