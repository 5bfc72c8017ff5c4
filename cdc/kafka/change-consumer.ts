import type { Log } from '@tendon/platform/log.ts'
import type { Consumer, EachBatchPayload } from 'kafkajs'
import { cdcErrors } from '../errors.ts'
import type { ChangeBatch } from './batch-handler.ts'
import { parseChangeMessage } from './change-message.ts'
import { commitMetadata, type KafkaProgress, type Offsets, partitionId } from './kafka-progress.ts'
import { whileBeating } from './while-beating.ts'

/** Batches of other partitions go on while one waits. */
const partitionsAtOnce = 4

export type ChangeConsumer = {
  /** Reads until something ends it. @throws what did */
  run(): Promise<never>
  /** Everything below these offsets is dealt with, in this life. */
  handled(): Offsets
}

/**
 * The worker's way through the change topics: what is in a batch is dealt with, and then committed. After a worker's
 * end it is dealt with again, by whoever gets its partition.
 */
export function createChangeConsumer(options: {
  consumer: Consumer
  groupId: string
  topics: string[]
  progress: KafkaProgress
  handle: (batch: ChangeBatch, signal: AbortSignal) => Promise<void>
  /** A topic is not the one any more of which messages were read. */
  onMadeAnew: (topic: string) => void
  /** Version of the newest change that is stored as visible. */
  newestVisible: () => bigint
  log: Log
  signal: AbortSignal
}): ChangeConsumer {
  const { consumer, groupId, topics, progress, handle, onMadeAnew, newestVisible, log, signal } = options
  const handled: Offsets = new Map()

  async function handleBatch({ batch, heartbeat, isRunning, isStale }: EachBatchPayload): Promise<void> {
    const { topic, partition } = batch
    const messages = batch.messages.flatMap((message) => parseChangeMessage(topic, partition, message) ?? [])
    const id = partitionId(topic, partition)
    const end = BigInt(batch.lastOffset()) + 1n
    if (BigInt(batch.firstOffset() ?? end) < (handled.get(id) ?? 0n)) onMadeAnew(topic)
    await whileBeating(heartbeat, (whileOurs) =>
      handle({ messages, end: new Map([[id, end]]) }, AbortSignal.any([signal, whileOurs])),
    )
    if (!isRunning() || isStale()) return
    const metadata = commitMetadata(newestVisible())
    await consumer.commitOffsets([{ topic, partition, offset: end.toString(), metadata }])
    handled.set(id, end)
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
