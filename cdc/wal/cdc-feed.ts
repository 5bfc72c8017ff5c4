import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { createFeedMetrics } from '../feed-metrics.ts'
import { type CdcFeed, superviseFeed } from '../feed-supervisor.ts'
import type { SourceConfig } from '../options.ts'
import { type RegistryEntry, registry } from '../registry.ts'
import type { Invalidate } from '../telling/invalidate.ts'
import { createTeller } from '../telling/teller.ts'
import { runSession } from './feed-session.ts'

/** What a feed is made of, whichever it is. */
export type FeedParts<FeedConfig> = {
  config: FeedConfig
  warehouse: Warehouse
  /** Called with the users whose reports a change concerns, after the change is visible. */
  invalidate: Invalidate
  log: Log
  metrics: Metrics
  /** The registry, unless told otherwise. */
  entries?: readonly RegistryEntry[]
}

/** The change feed: logical replication of the registry's tables into `cdc.events`, and from there into `crm.*`. */
export function createCdcFeed(options: FeedParts<SourceConfig>): CdcFeed {
  const { config, warehouse, invalidate, log, entries = registry } = options
  const metrics = createFeedMetrics(options.metrics)
  const tell = createTeller({ warehouse, feed: config.slotName, invalidate, log, metrics })
  return superviseFeed({
    crmDatabaseUrl: config.crmDatabaseUrl,
    log,
    onInterrupted: metrics.interrupted,
    runSession: (hooks) => runSession({ config, entries, warehouse, tell, log, metrics, ...hooks }),
  })
}
