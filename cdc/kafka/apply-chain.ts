import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Admin } from 'kafkajs'
import type pg from 'pg'
import type { Catalog } from '../derive/catalog.ts'
import { readMemberships } from '../derive/publication-members.ts'
import { cdcErrors } from '../errors.ts'
import type { KafkaConfig } from '../options.ts'
import type { RegistryEntry } from '../registry.ts'
import { lookUpTables } from '../source/source-catalog.ts'
import { unreadTables } from '../whole-tables/unread-tables.ts'
import type { Connector } from './connect-rest.ts'
import { type PreparedConnector, prepareConnector } from './connector-history.ts'
import { omittedColumns, omittedList } from './derive-connector.ts'
import {
  awaitedEnds,
  createKafkaProgress,
  type KafkaProgress,
  readCommits,
  topicOf,
  withinBounds,
} from './kafka-progress.ts'
import {
  applyKafkaTable,
  changeTopic,
  clickHouseGroup,
  isReading,
  stopReading,
  workerGroup,
} from './kafka-table.ts'
import { applyMessageViews } from './message-views.ts'

const leaderTimeoutMs = 30_000
const leaderPollMs = 50
const groupTimeoutMs = 30_000
const groupPollMs = 250

/**
 * Tells the connector what to leave out of tables that are not published yet, so that it is in no message from the
 * first change on.
 */
export async function omitFirst(options: {
  source: pg.Client
  connector: Connector
  publicationName: string
  entries: readonly RegistryEntry[]
}): Promise<void> {
  const { source, connector, publicationName, entries } = options
  const config = await connector.config()
  if (!config) return
  const { tables } = await lookUpTables(source, publicationName, entries)
  const members = await readMemberships(source, publicationName, tables)
  const added = omittedColumns(tables.filter(({ qualifiedName }) => !members.has(qualifiedName)))
  const former = (config[omittedList] ?? '').split(',').filter((column) => column !== '')
  if (added.every((column) => former.includes(column))) return
  await connector.change({ ...config, [omittedList]: [...former, ...added].join(',') })
}

/** Brings ClickHouse's Kafka table, the topics and the connector to the registry and the catalog. */
export async function applyChain(options: {
  source: pg.Client
  warehouse: Warehouse
  admin: Admin
  connector: Connector
  catalog: Catalog
  config: KafkaConfig
  log: Log
  signal: AbortSignal
  /** Nothing is changed, and so nothing is waited for. */
  isDryRun?: boolean
}): Promise<PreparedConnector & { topics: string[]; progress: KafkaProgress }> {
  const { warehouse, admin, catalog, config, log, signal, isDryRun = false } = options
  await applyMessageViews(warehouse, log)
  // What a topic's name may not hold is an underscore in it, so that two tables may share one.
  const topics = [...new Set(catalog.replicas.map(({ source }) => changeTopic(config, source.qualifiedName)))]
  const existing = await makeTopics(admin, topics, config.topicPartitions, isDryRun)
  if (!isDryRun && !(await isReading(warehouse))) {
    const unread = await unreadTables(warehouse, catalog)
    await rewind(admin, clickHouseGroup(config), new Set(unread.map((table) => changeTopic(config, table))))
  }
  await applyKafkaTable(warehouse, config)
  const commits = await readCommits(admin, workerGroup(config))
  const progressOf = (some: string[]) =>
    createKafkaProgress({ admin, topics: some, clickHouseGroup: clickHouseGroup(config), signal })
  async function drained(): Promise<void> {
    // The client takes no topics for all of them.
    if (isDryRun || existing.length === 0) return
    const progress = progressOf(existing)
    const [bounds, committed] = await Promise.all([
      progress.bounds(),
      progress.committed(clickHouseGroup(config)),
    ])
    const ends = awaitedEnds(bounds)
    const begun = withinBounds(committed, bounds)
    const astray = new Set([...ends.keys()].filter((id) => !begun.has(id)).map(topicOf))
    // ClickHouse may wait where it was in a topic of before, and with no connector nothing comes that would lead it on.
    if (astray.size > 0) {
      await stopReading(warehouse)
      await rewind(admin, clickHouseGroup(config), astray)
      await applyKafkaTable(warehouse, config)
    }
    await progress.visible(ends)
  }
  const prepared = await prepareConnector({ ...options, commits, drained })
  return { ...prepared, topics, progress: progressOf(topics) }
}

/**
 * Before the connector makes them, so that both who read them find them at once.
 * @returns those that were there
 */
async function makeTopics(
  admin: Admin,
  topics: string[],
  partitions: number,
  isDryRun: boolean,
): Promise<string[]> {
  try {
    const existing = new Set(await admin.listTopics())
    const missing = topics.filter((topic) => !existing.has(topic))
    if (missing.length > 0) {
      await admin.createTopics({
        waitForLeaders: false,
        topics: missing.map((topic) => ({ topic, numPartitions: partitions, replicationFactor: -1 })),
      })
      if (!isDryRun) await untilLed(admin, missing)
    }
    return topics.filter((topic) => existing.has(topic))
  } catch (cause) {
    throw cdcErrors.kafkaUnavailable('The change topics could not be made.', { cause })
  }
}

/** Has a group begin again with the first messages of topics, once nobody is in it any more. */
async function rewind(admin: Admin, groupId: string, topics: Set<string>): Promise<void> {
  try {
    const groups = await admin.fetchOffsets({ groupId })
    const read = groups.filter(({ topic, partitions }) => topics.has(topic) && partitions.length > 0)
    // ClickHouse does not leave its group when its table is dropped: it is missed after its session timeout.
    for (const deadline = performance.now() + groupTimeoutMs; read.length > 0; await delay(groupPollMs)) {
      const [group] = (await admin.describeGroups([groupId])).groups
      if (group?.members.length === 0 || performance.now() > deadline) break
    }
    for (const { topic, partitions } of read) {
      const first = partitions.map(({ partition }) => ({ partition, offset: '0' }))
      await admin.setOffsets({ groupId, topic, partitions: first })
    }
  } catch (cause) {
    throw cdcErrors.kafkaUnavailable('ClickHouse could not be made to read topics from their beginning.', {
      cause,
    })
  }
}

/** A broker may not know yet of a topic that was just made, which the client's own waiting takes for an error. */
async function untilLed(admin: Admin, topics: string[]): Promise<void> {
  const deadline = performance.now() + leaderTimeoutMs
  for (;;) {
    try {
      const metadata = await admin.fetchTopicMetadata({ topics })
      const partitions = metadata.topics.flatMap((topic) => topic.partitions)
      if (metadata.topics.length === topics.length && partitions.every(({ leader }) => leader >= 0)) return
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await delay(leaderPollMs)
  }
}
