import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Catalog } from './catalog.ts'
import { cdcErrors } from './errors.ts'
import { type Bounds, brokenTopics, type KafkaProgress, type Offsets, topicOf } from './kafka-progress.ts'
import { changeTopic, workerGroup } from './kafka-table.ts'
import type { KafkaConfig } from './options.ts'
import { forgetSnapshot } from './snapshot-record.ts'
import { unreadTables } from './unread-tables.ts'

type Parts = { catalog: Catalog; warehouse: Warehouse; config: KafkaConfig }

/**
 * What workers have dealt with before. Tables whose topics miss something that they have not are read whole again.
 */
export async function readBefore(
  parts: Parts & { progress: KafkaProgress; isInitial: boolean; log: Log },
): Promise<Offsets> {
  const { catalog, warehouse, config, progress, isInitial, log } = parts
  const committed = await progress.committed(workerGroup(config))
  if (isInitial) return committed
  const unread = new Set(await unreadTables(warehouse, catalog))
  const known = tableNames(catalog).filter((table) => !unread.has(table))
  const topics = known.map((table) => changeTopic(config, table))
  const broken = brokenTopics(topics, committed, committed, await progress.bounds())
  const tables = await forgetTables(parts, broken)
  if (tables.length > 0) {
    log.error(
      { error_code: cdcErrors.topicBroken.code, tables },
      'topics miss messages: reading their tables again',
    )
  }
  return new Map([...committed].filter(([id]) => !broken.has(topicOf(id))))
}

/** @throws TENDON-CDC-023 when a topic misses messages: its table is read again by the next session */
export async function refuseBroken(
  parts: Parts & { progress: KafkaProgress; dealtWith: Offsets; bounds: Bounds },
): Promise<void> {
  const { config, progress, dealtWith, bounds } = parts
  // Asked only where something seems to be missing.
  if (brokenTopics([], dealtWith, new Map(), bounds).size === 0) return
  const committed = await progress.committed(workerGroup(config))
  const tables = await forgetTables(parts, brokenTopics([], dealtWith, committed, bounds))
  if (tables.length > 0) throw cdcErrors.topicBroken(`The topic of ${tables.join(', ')} misses messages.`)
}

async function forgetTables({ catalog, warehouse, config }: Parts, topics: Set<string>): Promise<string[]> {
  const tables = tableNames(catalog).filter((table) => topics.has(changeTopic(config, table)))
  for (const table of tables) await forgetSnapshot(warehouse, table)
  return tables
}

const tableNames = ({ replicas }: Catalog) => replicas.map(({ source }) => source.qualifiedName)
