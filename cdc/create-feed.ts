import { ConfigError } from '@tendon/platform/config.ts'
import { createCdcFeed, type FeedParts } from './cdc-feed.ts'
import type { CdcFeed } from './feed-supervisor.ts'
import { createKafkaFeed } from './kafka-feed.ts'
import type { CdcConfig } from './options.ts'

/**
 * The change feed that the configuration asks for: by Debezium and Kafka when it names brokers, read from the WAL in
 * process otherwise.
 * @throws ConfigError when it names brokers and no Kafka Connect
 */
export function createFeed(parts: FeedParts<CdcConfig>): CdcFeed {
  const { kafkaBrokers, kafkaConnectUrl } = parts.config
  if (!kafkaBrokers) return createCdcFeed(parts)
  if (!kafkaConnectUrl) {
    throw new ConfigError('cdc', ['KAFKA_BROKERS needs KAFKA_CONNECT_URL: the connector is made there'])
  }
  return createKafkaFeed({ ...parts, config: { ...parts.config, kafkaBrokers, kafkaConnectUrl } })
}
