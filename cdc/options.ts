import {
  type Config,
  ConfigError,
  databaseUrlOption,
  defineOptions,
  portOption,
  textOption,
  urlOption,
} from '@tendon/platform/config.ts'
import { logLevels } from '@tendon/platform/log.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import { z } from 'zod'

/** What PostgreSQL takes as the name of a slot (docs, "Replication Slots"); Debezium quotes no publication's name. */
const plainNameOption = z.string().regex(/^[a-z0-9_]{1,63}$/, 'not of lower-case letters, digits and _')

const brokersOption = z
  .string()
  .transform((text) => text.split(',').map((broker) => broker.trim()))
  .pipe(z.array(z.string().regex(/^[^\s/:]+:\d+$/, 'not of the form host:port,host:port')).min(1))

/** How the feed runs, wherever its parts come from. */
export const cdcOptions = defineOptions({
  crmDatabaseUrl: {
    env: 'CRM_DATABASE_URL',
    type: databaseUrlOption,
    help: 'Address of the CRM database, as in postgresql://user:password@host/crm; the user needs REPLICATION and SELECT',
  },
  slotName: {
    env: 'CDC_SLOT',
    type: plainNameOption,
    default: 'tendon_cdc',
    help: 'Replication slot of the feed; it is made when it is missing',
  },
  publicationName: {
    env: 'CDC_PUBLICATION',
    type: plainNameOption,
    default: 'tendon_cdc',
    help: 'Publication of the tables in the registry; it is made when it is missing',
  },
  kafkaBrokers: {
    env: 'KAFKA_BROKERS',
    type: brokersOption,
    optional: true,
    help: 'Brokers, as in kafka-1:9092,kafka-2:9092; with them changes come by Debezium and Kafka',
  },
  clickhouseKafkaBrokers: {
    env: 'CLICKHOUSE_KAFKA_BROKERS',
    type: textOption,
    optional: true,
    help: 'The same as ClickHouse reaches them, when it does under other names',
  },
  kafkaConnectUrl: {
    env: 'KAFKA_CONNECT_URL',
    type: urlOption,
    optional: true,
    help: 'REST interface of Kafka Connect, where the connector is made and watched; needed with KAFKA_BROKERS',
  },
  topicPrefix: {
    env: 'CDC_TOPIC_PREFIX',
    type: z.string().regex(/^[A-Za-z0-9_]+$/, 'not of letters, digits and _'),
    default: 'crm',
    help: 'What the names of the change topics begin with: <prefix>.<schema>.<table>',
  },
  topicPartitions: {
    env: 'CDC_TOPIC_PARTITIONS',
    type: z.coerce.number<string>().int().min(1).max(1000),
    default: 1,
    help: 'Partitions of topics that are made; better not raised later (docs/cdc-faults.md)',
  },
  pollIntervalMs: {
    env: 'CDC_POLL_INTERVAL_MS',
    type: z.coerce.number<string>().int().min(1).max(10_000),
    default: 5,
    help: 'How often Debezium looks for changes, and above 50 ms ClickHouse: seldom is later, often costs CPU (at 5 ms a fifth of a core)',
  },
})
export type CdcConfig = Config<typeof cdcOptions>
/** What reading the WAL in process needs of it. */
export type SourceConfig = Pick<CdcConfig, 'crmDatabaseUrl' | 'slotName' | 'publicationName'>
/** With brokers, changes come by Debezium and Kafka; without them the WAL is read in process. */
export type KafkaConfig = CdcConfig & { kafkaBrokers: string[]; kafkaConnectUrl: string }

/**
 * @returns undefined when the WAL is read in process
 * @throws ConfigError when there are brokers and no Kafka Connect
 */
export function kafkaConfigOf(config: CdcConfig): KafkaConfig | undefined {
  const { kafkaBrokers, kafkaConnectUrl } = config
  if (!kafkaBrokers) return undefined
  if (!kafkaConnectUrl) {
    throw new ConfigError('cdc', ['KAFKA_BROKERS needs KAFKA_CONNECT_URL: the connector is made there'])
  }
  return { ...config, kafkaBrokers, kafkaConnectUrl }
}

/** Who is told whose reports have changed, and as whom. */
export const reportsOptions = defineOptions({
  reportsServiceUrl: {
    env: 'REPORTS_SERVICE_URL',
    type: urlOption,
    help: 'Address of reports-service, which is told whose reports changed',
  },
  oidcIssuer: { env: 'OIDC_ISSUER', type: urlOption, help: 'Issuer of the access tokens' },
  oidcInternalUrl: {
    env: 'OIDC_INTERNAL_URL',
    type: urlOption,
    optional: true,
    help: 'Where this process reaches the issuer, when not at its public address',
  },
  oidcClientId: {
    env: 'CDC_CLIENT_ID',
    type: textOption,
    default: 'tendon-cdc',
    help: 'Service account of the feed at the issuer',
  },
  oidcClientSecret: { env: 'CDC_CLIENT_SECRET', type: textOption, help: 'Secret of that service account' },
})

/** The feed with the addresses of the real parts. */
export const serviceOptions = defineOptions({
  ...cdcOptions,
  ...warehouseOptions,
  ...reportsOptions,
  logLevel: {
    env: 'LOG_LEVEL',
    type: z.enum(logLevels),
    default: 'info',
    help: 'Least level that is logged',
  },
  host: { env: 'HOST', type: textOption, default: '127.0.0.1', help: 'Address to listen on' },
  port: { env: 'PORT', flag: 'port', type: portOption, default: 8083, help: 'Port of health and metrics' },
})
