import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import type { Catalog } from '../derive/catalog.ts'
import { cdcErrors } from '../errors.ts'
import type { KafkaConfig } from '../options.ts'
import { retry } from '../retry.ts'
import { withApplyLock } from '../source/advisory-lock.ts'
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
  const broken = tablesOf(parts, known, new Set([...outside, ...missing]))
  if (broken.length === 0) return before
  await haveReadAgain(warehouse, broken)
  throw misses(broken)
}

/** @throws TENDON-CDC-023 when topics miss messages: their tables are read again by the next session */
export async function refuseBroken(
  parts: Parts & {
    source: pg.Client
    log: Log
    signal: AbortSignal
    dealtWith: Offsets
    committed: Offsets
    bounds: Bounds
    madeAnew: ReadonlySet<string>
  },
): Promise<void> {
  const { source, catalog, warehouse, config, log, signal, dealtWith, committed, bounds, madeAnew } = parts
  const topics = new Set([...brokenTopics(dealtWith, committed, bounds), ...madeAnew])
  const broken = tablesOf(parts, tableNames(catalog), topics)
  if (broken.length === 0) return
  // Other workers notice it at the same time, and make ClickHouse's Kafka table again.
  // Whoever has seen messages with offsets of before is the only one who knows it: to begin anew would be to forget it.
  const readAgain = () =>
    retry('having a topic read again', { signal, log }, () => haveReadAgain(warehouse, broken))
  await withApplyLock(source, config.slotName, readAgain, signal)
  throw misses(broken)
}

/**
 * ClickHouse may not notice that a topic is another one: it waits at the offset where it was until the new one has as many
 * messages, and passes over what lies before. It is made to begin again, at the first message of topics that are to be read.
 * It stops first: while it reads, a table that is to be read again does not make it begin again.
 */
async function haveReadAgain(warehouse: Warehouse, tables: string[]): Promise<void> {
  await stopReading(warehouse)
  for (const table of tables) await forgetSnapshot(warehouse, table)
}

const tablesOf = ({ config }: Parts, candidates: string[], topics: Set<string>) =>
  candidates.filter((table) => topics.has(changeTopic(config, table)))

const misses = (tables: string[]) =>
  cdcErrors.topicBroken(`The topic of ${tables.join(', ')} misses messages.`)

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
