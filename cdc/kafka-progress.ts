import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { cdcErrors } from './errors.ts'

const pollIntervalMs = 10
const partitionsIntervalMs = 1_000

/** `topic/partition` → offset */
export type Offsets = Map<string, bigint>

export const partitionId = (topic: string, partition: number) => `${topic}/${partition}`

/** The higher offset of each: a partition moves from worker to worker, and what one has reached stays reached. */
export function furthest(one: Offsets, other: Offsets): Offsets {
  const merged = new Map(one)
  for (const [id, offset] of other) merged.set(id, max(offset, merged.get(id) ?? 0n))
  return merged
}

/** Whether everything below `wanted` lies below `reached`. */
export function hasReached(reached: Offsets, wanted: Offsets): boolean {
  return [...wanted].every(([id, offset]) => offset === 0n || (reached.get(id) ?? 0n) >= offset)
}

export type KafkaProgress = {
  /**
   * What each change topic's next message will have as offset.
   * @throws TENDON-CDC-022 when a topic was given more partitions
   */
  ends(): Promise<Offsets>
  /** What a consumer group has committed. */
  committed(groupId: string): Promise<Offsets>
  /** Resolves when ClickHouse has put everything below these offsets through all of its views. */
  visible(wanted: Offsets, onWait?: () => Promise<void>): Promise<void>
}

/**
 * How far Kafka, ClickHouse and this process are. ClickHouse commits a block's offsets after its views have run, so
 * that what is committed is visible in the replicas.
 */
export function createKafkaProgress(options: {
  admin: Admin
  topics: string[]
  clickHouseGroup: string
  signal: AbortSignal
}): KafkaProgress {
  const { admin, topics, clickHouseGroup, signal } = options
  let partitionsDueAt = 0
  let partitionsKnown: number | undefined
  let reached: Offsets = new Map()
  let polling: Promise<void> | undefined

  async function committed(groupId: string): Promise<Offsets> {
    const groups = await asking(() => admin.fetchOffsets({ groupId }))
    return new Map(
      groups.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition, offset }) => [partitionId(topic, partition), max(BigInt(offset), 0n)]),
      ),
    )
  }

  /** One question at a time, however many wait. */
  function poll(): Promise<void> {
    polling ??= committed(clickHouseGroup)
      .then((offsets) => {
        reached = offsets
      })
      .finally(() => {
        polling = undefined
      })
    return polling
  }

  /**
   * ClickHouse reads new partitions at once; the client asks for them every five minutes only, and so does the worker's
   * consumer, which begins to read them with the next session.
   */
  async function checkPartitions(ends: Offsets): Promise<void> {
    partitionsKnown ??= ends.size
    if (performance.now() > partitionsDueAt) {
      partitionsDueAt = performance.now() + partitionsIntervalMs
      const metadata = await asking(() => admin.fetchTopicMetadata({ topics }))
      const found = metadata.topics.reduce((sum, { partitions }) => sum + partitions.length, 0)
      if (found > partitionsKnown) throw cdcErrors.partitionsRaised('A change topic has more partitions now.')
    }
    if (ends.size > partitionsKnown)
      throw cdcErrors.partitionsRaised('A change topic has more partitions now.')
  }

  return {
    committed,
    async ends() {
      const ends = await Promise.all(
        topics.map(async (topic) => {
          const partitions = await asking(() => admin.fetchTopicOffsets(topic))
          return partitions.map(({ partition, high }): [string, bigint] => [
            partitionId(topic, partition),
            BigInt(high),
          ])
        }),
      )
      const offsets = new Map(ends.flat())
      await checkPartitions(offsets)
      return offsets
    },
    async visible(wanted, onWait) {
      for (;;) {
        signal.throwIfAborted()
        if (hasReached(reached, wanted)) return
        await poll()
        if (hasReached(reached, wanted)) return
        await onWait?.()
        await delay(pollIntervalMs, undefined, { signal })
      }
    },
  }
}

async function asking<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (cause) {
    throw cdcErrors.kafkaUnavailable('Kafka does not answer.', { cause })
  }
}

const max = (a: bigint, b: bigint) => (a > b ? a : b)
