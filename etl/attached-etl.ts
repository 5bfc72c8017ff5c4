import { ConfigError } from '@tendon/platform/config.ts'
import type { Log } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import type { ReadCrm } from './crm.ts'
import { createPostgresCrm } from './crm-postgres.ts'
import { createWarehouseCrm } from './crm-warehouse.ts'
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
    readCrm: readCrmFrom(config, warehouse),
    telemetry: config.telemetryDatabaseUrl,
    invalidate: createInvalidate(config.reportsServiceUrl, token),
    log,
    metrics: createMetrics('etl', { processMetrics: true }),
  })
  return { etl, warehouse }
}

function readCrmFrom(config: AttachedConfig, warehouse: Warehouse): ReadCrm {
  if (config.crmSource === 'warehouse') return createWarehouseCrm(warehouse)
  if (config.crmDatabaseUrl === undefined)
    throw new ConfigError('etl', ['CRM_DATABASE_URL is not set: ETL_CRM_SOURCE=postgres reads it'])
  return createPostgresCrm(config.crmDatabaseUrl)
}
