import type { Addresses } from './addresses.ts'
import type { Secrets } from './data-folder.ts'
import type { Databases } from './open-databases.ts'
import type { EmbeddedConfig } from './options.ts'
import { publicPaths } from './serve-public.ts'

export type ServiceSettings = ReturnType<typeof serviceSettings>

/** The parts of the configuration that say what a service is told. */
type Attached = Pick<
  EmbeddedConfig,
  | 'cdnBaseUrl'
  | 'cdnSigningKeys'
  | 'oidcIssuer'
  | 'oidcBffSecret'
  | 'oidcCdcSecret'
  | 'oidcEtlSecret'
  | 'kafkaBrokers'
  | 'kafkaConnectUrl'
  | 'clickhouseKafkaBrokers'
>

/**
 * The environment of the services, as they would be given it on machines of their own: each reads it through its
 * own option table. It also goes into the data folder, so that the commands (`npm run cdc`, `npm run etl`,
 * `npm run crm`) find the running parts.
 */
export function serviceSettings(
  config: Attached,
  databases: Databases,
  secrets: Secrets,
  addresses: Addresses,
) {
  const { publicUrl, loopbackUrl, reportsServiceUrl } = addresses
  return {
    CRM_DATABASE_URL: databases.crmUrl,
    TELEMETRY_DATABASE_URL: databases.telemetryUrl,
    CLICKHOUSE_URL: databases.clickhouse.url,
    CLICKHOUSE_USER: databases.clickhouse.username,
    CLICKHOUSE_PASSWORD: databases.clickhouse.password,
    // Empty is not set: what the process itself inherited does not count.
    KAFKA_BROKERS: config.kafkaBrokers?.join(',') ?? '',
    KAFKA_CONNECT_URL: config.kafkaConnectUrl ?? '',
    CLICKHOUSE_KAFKA_BROKERS: config.clickhouseKafkaBrokers ?? '',
    PUBLIC_URL: publicUrl,
    REPORTS_SERVICE_URL: reportsServiceUrl,
    CDN_BASE_URL: config.cdnBaseUrl ?? publicUrl + publicPaths.cdn,
    CDN_SIGNING_KEYS:
      config.cdnSigningKeys?.map(({ id, secret }) => `${id}:${secret}`).join(',') ?? secrets.cdnSigningKeys,
    SESSION_KEYS: secrets.sessionEncryptionKeys,
    OIDC_CLIENT_SECRET: config.oidcBffSecret ?? secrets.clientSecrets.bff,
    CDC_CLIENT_SECRET: config.oidcCdcSecret ?? secrets.clientSecrets.cdc,
    ETL_CLIENT_SECRET: config.oidcEtlSecret ?? secrets.clientSecrets.etl,
    ...(config.oidcIssuer
      ? { OIDC_ISSUER: config.oidcIssuer }
      : { OIDC_ISSUER: publicUrl + publicPaths.identityProvider, OIDC_INTERNAL_URL: loopbackUrl }),
  }
}
