import { setTimeout as delay } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { cdcErrors } from '../errors.ts'
import { highest } from '../highest.ts'

const pollIntervalMs = 10
const partitionsIntervalMs = 1_000

/** `topic/partition` → offset */
export type Offsets = Map<string, bigint>

/** Offsets of each partition's first message that is still there, and of its next one. */
export type Bounds = { begins: Offsets; ends: Offsets }

export const partitionId = (topic: string, partition: number) => `${topic}/${partition}`

export const topicOf = (id: string) => id.slice(0, id.lastIndexOf('/'))

/** The higher offset of each: a partition moves from worker to worker, and what one has reached stays reached. */
export function furthest(one: Offsets, other: Offsets): Offsets {
  const merged = new Map(one)
  for (const [id, offset] of other) merged.set(id, highest(offset, merged.get(id)))
  return merged
}

/** What is left of what a group has committed when what a topic does not hold is left out, and topics that are not read. */
export function withinBounds(committed: Offsets, { begins, ends }: Bounds): Offsets {
  const isWithin = (id: string, offset: bigint) =>
    offset >= (begins.get(id) ?? 0n) && offset <= (ends.get(id) ?? -1n)
  return new Map([...committed].filter(([id, offset]) => isWithin(id, offset)))
}

/**
 * Topics that miss messages which were never read: they were deleted (and what their readers had committed with them),
 * made anew, or their retention was over before everything was read.
 * @param dealtWith and committed, before `committed` was asked for: it only rises while a topic is the same
 */
export function brokenTopics(dealtWith: Offsets, committed: Offsets, { begins, ends }: Bounds): Set<string> {
  const topics = new Set([...ends.keys()].map(topicOf))
  const broken = new Set<string>()
  for (const [id, offset] of dealtWith) {
    if (!topics.has(topicOf(id))) continue
    const begin = begins.get(id)
    if (begin === undefined || offset < begin || (committed.get(id) ?? -1n) < offset) broken.add(topicOf(id))
  }
  return broken
}

/** Where readers have to come to: of a partition that holds nothing (any more), nowhere. */
export function awaitedEnds({ begins, ends }: Bounds): Offsets {
  return new Map([...ends].filter(([id, end]) => end > (begins.get(id) ?? 0n)))
}

/** Whether everything below `wanted` lies below `reached`. */
export function hasReached(reached: Offsets, wanted: Offsets): boolean {
  return [...wanted].every(([id, offset]) => (reached.get(id) ?? 0n) >= offset)
}

/** What a consumer group has committed. */
export type Commits = {
  offsets: Offsets
  /** Version of the newest change that could be read in the warehouse at the time of a commit; 0 when none says so. */
  newestVersion: bigint
}

export async function readCommits(admin: Admin, groupId: string): Promise<Commits> {
  const groups = await asking(() => admin.fetchOffsets({ groupId }))
  const commits = groups
    .flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset, metadata }) => ({
        id: partitionId(topic, partition),
        offset: BigInt(offset),
        version: parseCommitMetadata(metadata),
      })),
    )
    // Negative ones say where a reader would begin, and that it has read nothing.
    .filter(({ offset }) => offset >= 0n)
  return {
    offsets: new Map(commits.map(({ id, offset }) => [id, offset])),
    newestVersion: highest(...commits.map(({ version }) => version)),
  }
}

/** What a commit says beside its offset, so that a warehouse that went back is noticed. */
export const commitMetadata = (version: bigint) => `version=${version}`

function parseCommitMetadata(metadata: string | null): bigint {
  return BigInt(/^version=(\d+)$/.exec(metadata ?? '')?.[1] ?? 0)
}

export type KafkaProgress = {
  /**
   * What the change topics hold.
   * @throws TENDON-CDC-022 when a topic was given more partitions
   */
  bounds(): Promise<Bounds>
  /** What a consumer group has committed. */
  committed(groupId: string): Promise<Offsets>
  /**
   * Resolves when ClickHouse has put everything below these offsets through all of its views.
   * @param within instead of the session
   */
  visible(wanted: Offsets, within?: AbortSignal): Promise<void>
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

  const committed = async (groupId: string) => (await readCommits(admin, groupId)).offsets

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
  async function checkPartitions(): Promise<void> {
    partitionsDueAt = performance.now() + partitionsIntervalMs
    // The client takes none for all of them.
    if (topics.length === 0) return
    const metadata = await asking(() => admin.fetchTopicMetadata({ topics }))
    compareCount(metadata.topics.reduce((sum, { partitions }) => sum + partitions.length, 0))
  }

  function compareCount(found: number): void {
    partitionsKnown ??= found
    if (found > partitionsKnown) throw cdcErrors.partitionsRaised('A change topic has more partitions now.')
  }

  return {
    committed,
    async bounds() {
      const asked = topics.map(async (topic) => {
        const partitions = await asking(() => admin.fetchTopicOffsets(topic))
        return partitions.map(({ partition, low, high }) => ({
          id: partitionId(topic, partition),
          low,
          high,
        }))
      })
      const all = await Promise.all(asked).catch(async (err) => {
        // A partition that was made a moment ago has no leader yet.
        if (partitionsKnown !== undefined) await checkPartitions()
        throw err
      })
      const partitions = all.flat()
      compareCount(partitions.length)
      if (performance.now() > partitionsDueAt) await checkPartitions()
      const ends = new Map(partitions.map(({ id, high }) => [id, BigInt(high)]))
      return { begins: new Map(partitions.map(({ id, low }) => [id, BigInt(low)])), ends }
    },
    async visible(wanted, within = signal) {
      while (!hasReached(reached, wanted)) {
        await poll()
        if (!hasReached(reached, wanted)) await delay(pollIntervalMs, undefined, { signal: within })
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
