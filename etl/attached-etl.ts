import { ConfigError } from '@tendon/platform/config.ts'
import type { Log } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import type { ReadCrm } from './crm/crm.ts'
import { createPostgresCrm } from './crm/crm-postgres.ts'
import { createWarehouseCrm } from './crm/crm-warehouse.ts'
import { createEtl, type Etl } from './etl.ts'
import { createInvalidate } from './invalidate/invalidate.ts'
import type { AttachedConfig, SourceConfig } from './options.ts'
import { batchSizes } from './run/batch-sizes.ts'
import type { ReadingParts } from './run/run-session.ts'

/** What the job reads, at the addresses of the configuration. The warehouse is the caller's to close. */
export function attachedParts(config: SourceConfig, log: Log): ReadingParts {
  const warehouse = createWarehouse({
    url: config.clickhouseUrl,
    username: config.clickhouseUser,
    password: config.clickhousePassword,
  })
  const readCrm = readCrmFrom(config, warehouse)
  const telemetry = config.telemetryDatabaseUrl
  return { warehouse, telemetry, readCrm, log, now: () => new Date(), sizes: batchSizes }
}

/** The job with its parts at the addresses of the configuration. The warehouse is the caller's to close. */
export function createAttachedEtl(config: AttachedConfig, log: Log): { etl: Etl; warehouse: Warehouse } {
  const parts = attachedParts(config, log)
  const token = createServiceTokenSource({
    issuer: config.oidcIssuer,
    clientId: config.oidcClientId,
    clientSecret: config.oidcClientSecret,
    internalUrl: config.oidcInternalUrl,
  })
  const etl = createEtl({
    ...parts,
    config,
    invalidate: createInvalidate(config.reportsServiceUrl, token),
    metrics: createMetrics('etl', { processMetrics: true }),
  })
  return { etl, warehouse: parts.warehouse }
}

function readCrmFrom(config: SourceConfig, warehouse: Warehouse): ReadCrm {
  if (config.crmSource === 'warehouse') return createWarehouseCrm(warehouse)
  if (config.crmDatabaseUrl === undefined)
    throw new ConfigError('etl', ['CRM_DATABASE_URL is not set: ETL_CRM_SOURCE=postgres reads it'])
  return createPostgresCrm(config.crmDatabaseUrl)
}
