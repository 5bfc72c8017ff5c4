import type { Config } from '@tendon/platform/config.ts'
import type { Log } from '@tendon/platform/log.ts'
import { createMetrics, type Metrics } from '@tendon/platform/metrics.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { createFeed } from './create-feed.ts'
import type { CdcFeed } from './feed-supervisor.ts'
import type { serviceOptions } from './options.ts'
import { createAttachedInvalidate } from './telling/invalidate.ts'

/** The feed with its parts at the addresses of the configuration. The warehouse is the caller's to close. */
export function createAttachedFeed(
  config: Config<typeof serviceOptions>,
  log: Log,
): { feed: CdcFeed; warehouse: Warehouse; metrics: Metrics } {
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  const metrics = createMetrics('cdc', { processMetrics: true })
  const feed = createFeed({
    config,
    warehouse,
    invalidate: createAttachedInvalidate(config),
    log,
    metrics,
  })
  return { feed, warehouse, metrics }
}
