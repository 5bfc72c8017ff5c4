import { type Bff, createBff } from '@tendon/bff/bff.ts'
import type { IdentityProvider } from '@tendon/bff/identity-provider/identity-provider.ts'
import { createFeed } from '@tendon/cdc/create-feed.ts'
import type { CdcFeed } from '@tendon/cdc/feed-supervisor.ts'
import { createInvalidate as createCdcInvalidate } from '@tendon/cdc/telling/invalidate.ts'
import { createCdn } from '@tendon/cdn/create-cdn.ts'
import { createEtl, type Etl } from '@tendon/etl/etl.ts'
import { createInvalidate as createEtlInvalidate } from '@tendon/etl/invalidate/invalidate.ts'
import { createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMetrics, type Metrics } from '@tendon/platform/metrics.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { createReportsService, type ReportsService } from '@tendon/reports-service/reports-service.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Addresses } from './addresses.ts'
import type { DataFolder } from './data-folder.ts'
import { createEmbeddedProvider } from './embedded-provider.ts'
import type { LogFor } from './log-for.ts'
import type { EmbeddedConfig } from './options.ts'
import { readServiceConfigs } from './service-configs.ts'
import type { ServiceSettings } from './service-settings.ts'

export type Services = {
  reportsService: ReportsService
  bff: Bff
  cdc: CdcFeed
  etl: Etl
  /** Absent when a real provider is attached. */
  identityProvider: IdentityProvider | undefined
  /** Absent when a real CDN is attached. */
  cdn: ReturnType<typeof createCdn> | undefined
  /** One registry a service. */
  metrics: Metrics[]
}

/** The same services as on machines of their own, each configured from `settings` through its own option table. */
export function createServices(
  config: EmbeddedConfig,
  parts: {
    settings: ServiceSettings
    addresses: Addresses
    warehouse: Warehouse
    stores: { objectStore: ObjectStore; keyValue: KeyValue }
    webRoot: string
    folder: DataFolder
    logFor: LogFor
  },
): Services {
  const { settings, addresses, warehouse, stores, webRoot, folder, logFor } = parts
  const { objectStore: store, keyValue } = stores
  const configs = readServiceConfigs({ ...process.env, ...settings })
  const { oidcIssuer: issuer, oidcInternalUrl: internalUrl } = configs.bff
  const { reportsServiceUrl } = addresses
  const serviceToken = (clientId: string, clientSecret: string) =>
    createServiceTokenSource({ issuer, internalUrl, clientId, clientSecret })
  const metrics = {
    // Those of the process are among one service's, since it is one process.
    bff: createMetrics('bff', { processMetrics: true }),
    reports: createMetrics('reports_service'),
    cdc: createMetrics('cdc'),
    etl: createMetrics('etl'),
    cdn: createMetrics('cdn'),
  }

  return {
    reportsService: createReportsService({
      config: configs.reports,
      warehouse,
      store,
      keyValue,
      verifyAccessToken: createAccessTokenVerifier({ issuer, internalUrl, audience: 'reports-service' }),
      log: logFor('reports-service'),
      metrics: metrics.reports,
    }),
    bff: createBff({ config: configs.bff, keyValue, log: logFor('bff'), metrics: metrics.bff, webRoot }),
    cdc: createFeed({
      config: configs.cdc,
      warehouse,
      invalidate: createCdcInvalidate(
        reportsServiceUrl,
        serviceToken('tendon-cdc', settings.CDC_CLIENT_SECRET),
      ),
      log: logFor('cdc'),
      metrics: metrics.cdc,
    }),
    etl: createEtl({
      config: configs.etl,
      warehouse,
      telemetry: settings.TELEMETRY_DATABASE_URL,
      invalidate: createEtlInvalidate(
        reportsServiceUrl,
        serviceToken('tendon-etl', settings.ETL_CLIENT_SECRET),
      ),
      log: logFor('etl'),
      metrics: metrics.etl,
    }),
    identityProvider: config.oidcIssuer ? undefined : createEmbeddedProvider({ addresses, folder, logFor }),
    cdn: config.cdnBaseUrl
      ? undefined
      : createCdn({ store, keys: configs.reports.signingKeys, log: logFor('cdn'), metrics: metrics.cdn }),
    metrics: Object.values(metrics),
  }
}
