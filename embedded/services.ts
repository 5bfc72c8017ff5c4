import { join } from 'node:path'
import { type Bff, createBff } from '@tendon/bff/bff.ts'
import {
  createIdentityProvider,
  type IdentityProvider,
} from '@tendon/bff/identity-provider/identity-provider.ts'
import { bffOptions } from '@tendon/bff/options.ts'
import { type CdcFeed, createCdcFeed } from '@tendon/cdc/cdc-feed.ts'
import { createInvalidate as createCdcInvalidate } from '@tendon/cdc/invalidate.ts'
import { cdcOptions } from '@tendon/cdc/options.ts'
import { createCdn } from '@tendon/cdn/create-cdn.ts'
import { createEtl, type Etl } from '@tendon/etl/etl.ts'
import { createInvalidate as createEtlInvalidate } from '@tendon/etl/invalidate.ts'
import { etlOptions } from '@tendon/etl/options.ts'
import { createAccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { readConfig } from '@tendon/platform/config.ts'
import { listen } from '@tendon/platform/http-server.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Lifecycle } from '@tendon/platform/lifecycle.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { createServiceTokenSource } from '@tendon/platform/service-token.ts'
import { reportsOptions } from '@tendon/reports-service/options.ts'
import { createReportsService, type ReportsService } from '@tendon/reports-service/reports-service.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { DataFolder } from './data-folder.ts'
import { demoLogins } from './demo-logins.ts'
import type { EmbeddedConfig } from './options.ts'
import { createPublicApp } from './serve-public.ts'
import type { ServiceSettings } from './service-settings.ts'
import type { LogFor } from './start-tendon.ts'

export type Services = {
  cdc: CdcFeed
  etl: Etl
  /** Listens: the public port, and reports-service on loopback. */
  startServing(options: {
    lifecycle: Lifecycle
    host: string
    port: number
    reportsPort: number
  }): Promise<void>
}

/** The same services as on machines of their own, each configured from `settings` through its own option table. */
export function createServices(
  config: EmbeddedConfig,
  parts: {
    settings: ServiceSettings
    warehouse: Warehouse
    stores: { objectStore: ObjectStore; keyValue: KeyValue }
    webRoot: string
    folder: DataFolder
    logFor: LogFor
  },
): Services {
  const { settings, warehouse, stores, webRoot, folder, logFor } = parts
  const env = { ...process.env, ...settings }
  const bffConfig = readConfig('bff', bffOptions, { env })
  const reportsConfig = readConfig('reports-service', reportsOptions, { env })
  const { oidcIssuer: issuer, oidcInternalUrl: internalUrl, publicUrl, reportsServiceUrl } = bffConfig
  const serviceToken = (clientId: string, clientSecret: string) =>
    createServiceTokenSource({ issuer, internalUrl, clientId, clientSecret })
  const cdcToken = serviceToken('tendon-cdc', settings.CDC_CLIENT_SECRET)
  const etlToken = serviceToken('tendon-etl', settings.ETL_CLIENT_SECRET)

  const reportsService: ReportsService = createReportsService({
    config: reportsConfig,
    warehouse,
    store: stores.objectStore,
    keyValue: stores.keyValue,
    verifyAccessToken: createAccessTokenVerifier({ issuer, internalUrl, audience: 'reports-service' }),
    log: logFor('reports-service'),
    metrics: createMetrics('reports_service'),
  })
  const bff: Bff = createBff({
    config: bffConfig,
    keyValue: stores.keyValue,
    log: logFor('bff'),
    metrics: createMetrics('bff', { processMetrics: true }),
    webRoot,
  })
  const cdc = createCdcFeed({
    config: readConfig('cdc', cdcOptions, { env }),
    warehouse,
    invalidate: createCdcInvalidate(reportsServiceUrl, cdcToken),
    log: logFor('cdc'),
    metrics: createMetrics('cdc'),
  })
  const etl = createEtl({
    config: readConfig('etl', etlOptions, { env: { ETL_FIRST_RUN: 'await', ...env } }),
    warehouse,
    telemetry: settings.TELEMETRY_DATABASE_URL,
    invalidate: createEtlInvalidate(reportsServiceUrl, etlToken),
    log: logFor('etl'),
    metrics: createMetrics('etl'),
  })
  const identityProvider = config.oidcIssuer
    ? undefined
    : createEmbeddedProvider({ issuer, publicUrl, loopback: internalUrl, folder, logFor })
  const cdn = config.cdnBaseUrl
    ? undefined
    : createCdn({
        store: stores.objectStore,
        keys: reportsConfig.signingKeys,
        log: logFor('cdn'),
        metrics: createMetrics('cdn'),
      })

  return {
    cdc,
    etl,
    async startServing({ lifecycle, host, port, reportsPort }) {
      const log = logFor('tendon')
      if (identityProvider) await lifecycle.start('identity provider', identityProvider)
      await lifecycle.start('reports-service', reportsService)
      await lifecycle.start('bff', bff)
      const serve = async (
        name: string,
        app: Parameters<typeof listen>[0],
        at: { host: string; port: number },
      ) => {
        const server = await listen(app, { ...at, log })
        await lifecycle.start(name, { stop: () => server.close() })
      }
      await serve('reports-service http', reportsService.app, { host: '127.0.0.1', port: reportsPort })
      const publicApp = createPublicApp({
        bff: bff.app,
        identityProvider: identityProvider?.handler,
        cdn: cdn?.app,
      })
      await serve('public http', publicApp, { host, port })
    },
  }
}

function createEmbeddedProvider(options: {
  issuer: string
  publicUrl: string
  loopback: string | undefined
  folder: DataFolder
  logFor: LogFor
}): IdentityProvider {
  const { issuer, publicUrl, loopback, folder, logFor } = options
  const { bff, cdc, etl } = folder.secrets.clientSecrets
  return createIdentityProvider({
    issuer,
    dataPath: join(folder.path, 'identity'),
    clients: [
      {
        clientId: 'bff',
        clientSecret: bff,
        redirectUris: [`${publicUrl}/callback`],
        postLogoutRedirectUris: [`${publicUrl}/`],
        backchannelLogoutUri: `${loopback ?? publicUrl}/auth/backchannel-logout`,
      },
      { clientId: 'tendon-cdc', clientSecret: cdc, roles: ['report-invalidator'] },
      { clientId: 'tendon-etl', clientSecret: etl, roles: ['report-invalidator'] },
    ],
    people: demoLogins,
    log: logFor('identity-provider'),
    demoPasswordsShown: true,
  })
}
