import { createFeedMetrics } from '../feed-metrics.ts'
import { type CdcFeed, superviseFeed } from '../feed-supervisor.ts'
import type { KafkaConfig } from '../options.ts'
import { registry } from '../registry.ts'
import { createTeller } from '../telling/teller.ts'
import type { FeedParts } from '../wal/cdc-feed.ts'
import { runKafkaSession } from './kafka-session.ts'

/**
 * The change feed by Debezium, Kafka and ClickHouse's Kafka engine. It makes and watches them, and is the worker that
 * tells whose reports have changed; any number of them share the work.
 */
export function createKafkaFeed(options: FeedParts<KafkaConfig>): CdcFeed {
  const { config, warehouse, invalidate, log, entries = registry } = options
  const metrics = createFeedMetrics(options.metrics)
  const tell = createTeller({ warehouse, feed: config.slotName, invalidate, log, metrics })
  return superviseFeed({
    crmDatabaseUrl: config.crmDatabaseUrl,
    log,
    onInterrupted: metrics.interrupted,
    runSession: (hooks) => runKafkaSession({ config, entries, warehouse, tell, log, metrics, ...hooks }),
  })
}
