import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Admin } from 'kafkajs'
import type pg from 'pg'
import type { Catalog } from './catalog.ts'
import type { Connector } from './connect-rest.ts'
import { type PreparedConnector, prepareConnector } from './connector-history.ts'
import { cdcErrors } from './errors.ts'
import { readCommits } from './kafka-progress.ts'
import { applyKafkaTable, changeTopic, workerGroup } from './kafka-table.ts'
import { applyMessageViews } from './message-views.ts'
import type { KafkaConfig } from './options.ts'

/** Brings ClickHouse's Kafka table, the topics and the connector to the registry and the catalog. */
export async function applyChain(options: {
  source: pg.Client
  warehouse: Warehouse
  admin: Admin
  connector: Connector
  catalog: Catalog
  config: KafkaConfig
  log: Log
}): Promise<PreparedConnector & { topics: string[] }> {
  const { warehouse, admin, catalog, config, log } = options
  await applyMessageViews(warehouse, log)
  await applyKafkaTable(warehouse, config)
  const topics = catalog.replicas.map(({ source: table }) => changeTopic(config, table.qualifiedName))
  await makeTopics(admin, topics, config.topicPartitions)
  const commits = await readCommits(admin, workerGroup(config))
  return { ...(await prepareConnector({ ...options, commits })), topics }
}

/** Before the connector makes them, so that both who read them find them at once. */
async function makeTopics(admin: Admin, topics: string[], partitions: number): Promise<void> {
  try {
    const existing = new Set(await admin.listTopics())
    const missing = topics.filter((topic) => !existing.has(topic))
    if (missing.length === 0) return
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map((topic) => ({ topic, numPartitions: partitions, replicationFactor: -1 })),
    })
  } catch (cause) {
    throw cdcErrors.kafkaUnavailable('The change topics could not be made.', { cause })
  }
}
