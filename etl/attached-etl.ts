import type { Log } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { createEtl, type Etl } from './etl.ts'
import { createInvalidate } from './invalidate.ts'
import type { AttachedConfig } from './options.ts'

/** The job with its parts at the addresses of the configuration. The warehouse is the caller's to close. */
export function createAttachedEtl(config: AttachedConfig, log: Log): { etl: Etl; warehouse: Warehouse } {
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  const token = createServiceTokenSource({
    issuer: config.oidcIssuer,
    clientId: config.oidcClientId,
    clientSecret: config.oidcClientSecret,
    internalUrl: config.oidcInternalUrl,
  })
  const etl = createEtl({
    config,
    warehouse,
    telemetry: config.telemetryDatabaseUrl,
    invalidate: createInvalidate(config.reportsServiceUrl, token),
    log,
    metrics: createMetrics('etl', { processMetrics: true }),
  })
  return { etl, warehouse }
}
