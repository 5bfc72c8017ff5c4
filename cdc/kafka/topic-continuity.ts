import { setTimeout as delay } from 'node:timers/promises'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Catalog } from '../derive/catalog.ts'
import { cdcErrors } from '../errors.ts'
import type { KafkaConfig } from '../options.ts'
import { forgetSnapshot } from '../whole-tables/snapshot-record.ts'
import { unreadTables } from '../whole-tables/unread-tables.ts'
import {
  type Bounds,
  brokenTopics,
  type KafkaProgress,
  type Offsets,
  topicOf,
  withinBounds,
} from './kafka-progress.ts'
import { changeTopic, stopReading, workerGroup } from './kafka-table.ts'

/** A broker that was killed shows for a moment less than a topic holds. */
const settlingMs = 5_000
const pollMs = 100

type Parts = { catalog: Catalog; warehouse: Warehouse; config: KafkaConfig }

/**
 * What workers have dealt with before this session.
 * @throws TENDON-CDC-023 when the topic of a table that was read misses messages
 */
export async function readBefore(
  parts: Parts & { progress: KafkaProgress; isInitial: boolean },
): Promise<Offsets> {
  const { catalog, warehouse, config, progress, isInitial } = parts
  const committed = await progress.committed(workerGroup(config))
  const bounds = await settledBounds(progress, committed)
  const before = withinBounds(committed, bounds)
  if (isInitial) return before
  const unread = new Set(await unreadTables(warehouse, catalog))
  const known = tableNames(catalog).filter((table) => !unread.has(table))
  const whole = new Set([...before.keys()].map(topicOf))
  const outside = [...committed.keys()].filter((id) => !before.has(id)).map(topicOf)
  const missing = known.map((table) => changeTopic(config, table)).filter((topic) => !whole.has(topic))
  await refuseTopics(parts, known, new Set([...outside, ...missing]))
  return before
}

/** @throws TENDON-CDC-023 when topics miss messages: their tables are read again by the next session */
export async function refuseBroken(
  parts: Parts & { dealtWith: Offsets; committed: Offsets; bounds: Bounds; madeAnew: ReadonlySet<string> },
): Promise<void> {
  const { catalog, dealtWith, committed, bounds, madeAnew } = parts
  const broken = brokenTopics(dealtWith, committed, bounds)
  await refuseTopics(parts, tableNames(catalog), new Set([...broken, ...madeAnew]))
}

/**
 * ClickHouse may not notice that a topic is another one: it waits at the offset where it was until the new one has as many
 * messages, and passes over what lies before. It is made to begin again, at the first message of topics that are to be read.
 */
async function refuseTopics(
  { warehouse, config }: Parts,
  candidates: string[],
  topics: Set<string>,
): Promise<void> {
  const tables = candidates.filter((table) => topics.has(changeTopic(config, table)))
  if (tables.length === 0) return
  for (const table of tables) await forgetSnapshot(warehouse, table)
  await stopReading(warehouse)
  throw cdcErrors.topicBroken(`The topic of ${tables.join(', ')} misses messages.`)
}

async function settledBounds(progress: KafkaProgress, committed: Offsets): Promise<Bounds> {
  const deadline = performance.now() + settlingMs
  for (;;) {
    const bounds = await progress.bounds()
    const isAhead = [...committed].some(([id, offset]) => offset > (bounds.ends.get(id) ?? offset))
    if (!isAhead || performance.now() > deadline) return bounds
    await delay(pollMs)
  }
}

const tableNames = ({ replicas }: Catalog) => replicas.map(({ source }) => source.qualifiedName)
