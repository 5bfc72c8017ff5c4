import type { CdcFeed } from './feed-supervisor.ts'
import { createKafkaFeed } from './kafka/kafka-feed.ts'
import { type CdcConfig, kafkaConfigOf } from './options.ts'
import { createCdcFeed, type FeedParts } from './wal/cdc-feed.ts'

/**
 * The change feed that the configuration asks for: by Debezium and Kafka when it names brokers, read from the WAL in
 * process otherwise.
 * @throws ConfigError when it names brokers and no Kafka Connect
 */
export function createFeed(parts: FeedParts<CdcConfig>): CdcFeed {
  const kafka = kafkaConfigOf(parts.config)
  return kafka ? createKafkaFeed({ ...parts, config: kafka }) : createCdcFeed(parts)
}
