import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Consumer, EachBatchPayload } from 'kafkajs'
import type { SourceRows } from '../changes/complete-changes.ts'
import { areLogged } from '../changes/positions.ts'
import { keepUnapplied, unappliedReasons } from '../changes/unapplied.ts'
import type { Catalog } from '../derive/catalog.ts'
import type { ColumnMapping } from '../derive/column-mapping.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { cdcErrors } from '../errors.ts'
import type { FeedMetrics } from '../feed-metrics.ts'
import { retry } from '../retry.ts'
import { addKey, type TableChanges } from '../telling/concerned-users.ts'
import type { Invalidate } from '../telling/invalidate.ts'
import { tellUsers } from '../telling/tell-users.ts'
import { truncateReplica } from '../whole-tables/truncate-replica.ts'
import { type ChangeMessage, parseChangeMessage } from './change-message.ts'
import { completeMessages } from './complete-messages.ts'
import { unavailableValue } from './derive-connector.ts'
import {
  awaitedEnds,
  commitMetadata,
  type KafkaProgress,
  type Offsets,
  partitionId,
} from './kafka-progress.ts'

/** Batches of other partitions go on while one waits. */
const partitionsAtOnce = 4
/** ClickHouse looks for topics every second, and knows long before this which it reads. */
const doubtfulMs = 60_000
const loggedTimeoutMs = 10_000
const loggedPollMs = 50

export type NewestChange = { version: bigint; committedAt: bigint }

export type ChangeConsumer = {
  /** Reads until something ends it. @throws what did */
  run(): Promise<never>
  /** Everything below these offsets is dealt with, in this life. */
  handled(): Offsets
  /** Topics that are not those any more of which messages were read. */
  madeAnew(): ReadonlySet<string>
}

/**
 * The worker's way through the change topics: waits until ClickHouse shows a batch, completes what it could not apply
 * by itself (unchanged TOAST, TRUNCATE), invalidates the users concerned, and commits last. Whatever it does may be
 * done again.
 */
export function createChangeConsumer(options: {
  consumer: Consumer
  groupId: string
  topics: string[]
  progress: KafkaProgress
  catalog: Catalog
  warehouse: Warehouse
  readSource: SourceRows
  invalidate: Invalidate
  /** Resolves when everything committed at the source up to an LSN is in Kafka. */
  inKafka: (lsn: bigint) => Promise<void>
  /** Topics whose tables are being read whole: where ClickHouse is in them is not certain at first. */
  doubtful: ReadonlySet<string>
  /** ClickHouse has passed over changes of a topic. @returns false when that was tried before, and is of no use */
  stopsReading: (topic: string) => Promise<boolean>
  /** A message that does not go with the catalog, which must have changed. */
  onOtherShape: (what: string) => void
  /** Resolves when the catalog is read again and is the same. */
  confirmCatalog: () => Promise<void>
  /** Called before anybody is told to look again: the reports they get say which changes they have seen. */
  onVisible: (newest: NewestChange) => Promise<void>
  /** Version of the newest change that is stored as visible. */
  newestVisible: () => bigint
  log: Log
  metrics: FeedMetrics
  signal: AbortSignal
}): ChangeConsumer {
  const { consumer, topics, progress, catalog, warehouse, readSource, invalidate, log, metrics, signal } =
    options
  const { groupId, stopsReading, inKafka, onOtherShape, confirmCatalog, onVisible, newestVisible } = options
  const replicas = new Map(catalog.replicas.map((replica) => [replica.source.qualifiedName, replica]))
  const shapes = new Map(catalog.replicas.map((replica) => [replica.source.qualifiedName, shapeOf(replica)]))
  const handled: Offsets = new Map()
  const madeAnew = new Set<string>()
  const again = { signal, log }
  const doubtful = new Set(options.doubtful)
  const doubtfulUntil = performance.now() + doubtfulMs

  async function handleBatch({ batch, heartbeat, isRunning, isStale }: EachBatchPayload): Promise<void> {
    const { topic, partition } = batch
    const messages = batch.messages.flatMap((message) => parseChangeMessage(topic, partition, message) ?? [])
    const id = partitionId(topic, partition)
    const end = BigInt(batch.lastOffset()) + 1n
    if (BigInt(batch.firstOffset() ?? end) < (handled.get(id) ?? 0n)) madeAnew.add(topic)
    await progress.visible(new Map([[id, end]]), heartbeat)
    if (doubtful.has(topic) && performance.now() < doubtfulUntil)
      await expectLogged(topic, messages, heartbeat)
    for (const [replica, changes] of byReplica(messages)) {
      await retry('completing changes', again, () =>
        completeMessages({
          warehouse,
          replica,
          messages: changes,
          readSource,
          isPartitioned: progress.isPartitioned(topic),
        }),
      )
    }
    await keepStrangers(messages, heartbeat)
    for (const message of messages) if (message.op === 't') await truncate(message, heartbeat)
    metrics.received(messages)
    const newest = newestOf(messages)
    if (newest) {
      await onVisible(newest)
      await tell(messages, heartbeat)
    }
    if (!isRunning() || isStale()) return
    const metadata = commitMetadata(newestVisible())
    await consumer.commitOffsets([{ topic, partition, offset: end.toString(), metadata }])
    handled.set(id, end)
  }

  /**
   * ClickHouse may go on in a topic that was made anew where it was in the former one, or have committed that there:
   * what it passes over is not in the log.
   */
  async function expectLogged(
    topic: string,
    messages: ChangeMessage[],
    heartbeat: () => Promise<void>,
  ): Promise<void> {
    // The worker itself puts those into the log that have to be completed, further on.
    const versions = messages.filter(({ isIncomplete }) => !isIncomplete).map(({ version }) => version)
    for (const deadline = performance.now() + loggedTimeoutMs; performance.now() < deadline; ) {
      signal.throwIfAborted()
      if (await areLogged(warehouse, versions)) return
      await heartbeat()
      await delay(loggedPollMs, undefined, { signal })
    }
    log.error({ topic, versions: versions.slice(0, 10).map(String) }, 'changes are not in the log')
    doubtful.delete(topic)
    if (await stopsReading(topic)) madeAnew.add(topic)
  }

  function byReplica(messages: ChangeMessage[]): Map<ReplicaTable, ChangeMessage[]> {
    const groups = new Map<ReplicaTable, ChangeMessage[]>()
    for (const message of messages) {
      const replica = replicas.get(message.table)
      if (!replica) continue
      const group = groups.get(replica)
      if (group) group.push(message)
      else groups.set(replica, [message])
      compareShape(message)
    }
    return groups
  }

  function compareShape({ table, columns }: ChangeMessage): void {
    const shape = shapes.get(table)!
    for (const name of columns.keys()) if (!shape.has(name)) onOtherShape(`${table}.${name} is new`)
  }

  /** ClickHouse has not applied a value that its column does not know: the column is another by now, or the change is kept. */
  async function keepStrangers(messages: ChangeMessage[], heartbeat: () => Promise<void>): Promise<void> {
    const unapplied = messages.flatMap(({ table, op, version, columns }) => {
      const shape = op === 'd' ? undefined : shapes.get(table)
      // A value that was not sent is of no type; the completed change has the one of before.
      const stranger = [...columns].find(
        ([name, value]) => value !== unavailableValue && shape?.get(name)?.(value) === false,
      )
      if (!stranger) return []
      const reason = stranger[1] === null ? unappliedReasons.null : unappliedReasons.type
      return { table, version, reason }
    })
    if (unapplied.length === 0) return
    await whileBeating(heartbeat, confirmCatalog())
    const tables = [...new Set(unapplied.map(({ table }) => table))]
    log.error(
      { tables, count: unapplied.length },
      'changes that could not be applied are in cdc.dead_letters, unless their table is read whole',
    )
    await retry('storing dead letters', again, () => keepUnapplied(warehouse, unapplied))
  }

  /**
   * Every row older than the TRUNCATE gets a tombstone. Rows that were there before may still be on their way through
   * other partitions; they are waited for, since what is not there yet cannot be told to be gone.
   */
  async function truncate(message: ChangeMessage, heartbeat: () => Promise<void>): Promise<void> {
    const replica = replicas.get(message.table)
    if (!replica) return
    await whileBeating(heartbeat, inKafka(BigInt(message.lsn)))
    await progress.visible(awaitedEnds(await progress.bounds()), heartbeat)
    await retry('truncating a replica', again, () =>
      truncateReplica(warehouse, replica, {
        version: message.version.toString(),
        lsn: message.lsn,
        tx_id: message.txId,
        committed_at: message.committedAt.toString(),
      }),
    )
  }

  async function tell(messages: ChangeMessage[], heartbeat: () => Promise<void>): Promise<void> {
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
    await whileBeating(
      heartbeat,
      retry('telling whose reports have changed', again, () =>
        tellUsers({ warehouse, changes: tables.values(), versions: { from, to }, invalidate, signal }),
      ),
    )
  }

  /**
   * Of an empty partition too there is a commit from the beginning: the broker forgets it with the topic, which tells a
   * topic that was made anew from one that nobody has written to.
   */
  async function commitEmpty(assignment: Record<string, number[]>): Promise<void> {
    const [{ begins, ends }, committed] = await Promise.all([progress.bounds(), progress.committed(groupId)])
    const empty = Object.entries(assignment).flatMap(([topic, partitions]) =>
      partitions.flatMap((partition) => {
        const id = partitionId(topic, partition)
        const end = ends.get(id)
        const isEmpty = end !== undefined && begins.get(id) === end
        if (!isEmpty || committed.get(id) === end) return []
        return [{ topic, partition, offset: end.toString() }]
      }),
    )
    if (empty.length > 0) await consumer.commitOffsets(empty)
  }

  return {
    handled: () => new Map(handled),
    madeAnew: () => madeAnew,
    async run() {
      const { promise: ended, reject } = Promise.withResolvers<never>()
      consumer.on(consumer.events.CRASH, ({ payload }) => {
        reject(cdcErrors.kafkaUnavailable('Reading the change topics failed.', { cause: payload.error }))
      })
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        // The next time the group is joined will do: what is missing costs one more reading of a table at most.
        commitEmpty(payload.memberAssignment).catch((err) =>
          log.debug({ err }, 'empty partitions have no commit yet'),
        )
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

/** For each column, whether the replica knows a value as one of it. */
function shapeOf({ source, columns }: ReplicaTable): Map<string, ColumnMapping['knows']> {
  const names = [...source.columns.map(({ name }) => name), ...source.omitted]
  const known = new Map(columns.map(({ name, knows }) => [name, knows]))
  return new Map(names.map((name) => [name, known.get(name) ?? (() => true)]))
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
