import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ChdbServer, startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { settingsOf } from '../cdc-process.fixture.ts'
import type { KafkaConfig } from '../options.ts'
import type { RegistryEntry } from '../registry.ts'
import {
  newSlotName,
  removeDatabase,
  type World,
  withConnection,
  worldOver,
} from '../suites/replica-of-source.fixture.ts'
import { createConnector } from './connect-rest.ts'
import { createKafkaClient } from './kafka-client.ts'
import { createKafkaFeed } from './kafka-feed.ts'
import { changeTopic, clickHouseGroup, workerGroup } from './kafka-table.ts'

const address = (name: string): string => {
  const value = process.env[name]
  if (!value)
    throw new Error(`${name} is not set: npm run stack -- up, then eval "$(npm run -s stack -- env)"`)
  return value
}

/** With its ClickHouse, and the environment of a process that works on it. */
export type KafkaWorld = World & {
  clickHouse: ChdbServer
  config: KafkaConfig
  settings: Record<string, string>
}

/** A database, a connector, topics and a ClickHouse of its own, on the servers of the stack. */
export async function createKafkaWorld(
  ddl: string,
  entries: RegistryEntry[],
  over: Partial<KafkaConfig> = {},
): Promise<KafkaWorld> {
  const slotName = newSlotName()
  const server = address('CRM_DATABASE_URL')
  await withConnection(server, (admin) => admin.query(`CREATE DATABASE ${slotName}`))
  const url = new URL(server)
  url.pathname = `/${slotName}`
  const folder = await mkdtemp(join(tmpdir(), 'tendon-kafka-'))
  const clickHouse = await startChdbServer({ dataPath: folder })
  const warehouse = createWarehouse(clickHouse)
  await applyMigrations(warehouse)
  const kafka = {
    kafkaBrokers: address('KAFKA_BROKERS').split(','),
    clickhouseKafkaBrokers: undefined,
    kafkaConnectUrl: address('KAFKA_CONNECT_URL'),
    topicPrefix: slotName,
    topicPartitions: 1,
    // Looking twenty times less often: worlds that stand side by side would need half the machine for that alone.
    pollIntervalMs: 100,
    ...over,
  }
  const config = { crmDatabaseUrl: url.href, slotName, publicationName: 'test_publication', ...kafka }
  const world = await worldOver({
    url: url.href,
    slotName,
    warehouse,
    // As production has it: the connector may log in, replicate and read, and nothing else.
    ddl: `${ddl}; ${grants}`,
    entries,
    makeFeed: ({ config: given, ...parts }) => createKafkaFeed({ ...parts, config: { ...given, ...kafka } }),
    async close() {
      await createConnector(config.kafkaConnectUrl, slotName).remove()
      await clickHouse.stop()
      await removeTopics(config, entries)
      await removeDatabase(server, url.href, slotName)
      await rm(folder, { recursive: true, force: true })
    },
  })
  const settings = {
    ...settingsOf(world, clickHouse),
    CDC_TOPIC_PREFIX: kafka.topicPrefix,
    CDC_POLL_INTERVAL_MS: String(kafka.pollIntervalMs),
    KAFKA_BROKERS: kafka.kafkaBrokers.join(','),
    KAFKA_CONNECT_URL: kafka.kafkaConnectUrl,
  }
  return Object.assign(world, { clickHouse, config, settings })
}

/** A client of the world's brokers. */
export const kafkaOf = ({ config }: KafkaWorld) =>
  createKafkaClient(config.kafkaBrokers, createLog({ service: 'cdc', level: 'fatal' }))

const grants = `
DO $$
DECLARE s text;
BEGIN
  FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO tendon_cdc; GRANT SELECT ON ALL TABLES IN SCHEMA %I TO tendon_cdc', s, s);
  END LOOP;
END $$;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO tendon_cdc`

async function removeTopics(config: KafkaConfig, entries: RegistryEntry[]): Promise<void> {
  const admin = createKafkaClient(config.kafkaBrokers, createLog({ service: 'cdc', level: 'fatal' })).admin()
  await admin.connect()
  const own = new Set([
    ...entries.map(({ name }) => changeTopic(config, name)),
    `__debezium-heartbeat.${config.topicPrefix}`,
  ])
  const topics = (await admin.listTopics()).filter((topic) => own.has(topic))
  await admin.deleteTopics({ topics })
  await admin.deleteGroups([workerGroup(config)]).catch(() => {})
  await admin.deleteGroups([clickHouseGroup(config)]).catch(() => {})
  await admin.disconnect()
}
