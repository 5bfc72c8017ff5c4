import { publicUrlOption } from '@tendon/bff/public-url.ts'
import { cdcOptions } from '@tendon/cdc/options.ts'
import {
  booleanOption,
  type Config,
  databaseUrlOption,
  defineOptions,
  millisecondsOption,
  portOption,
  textOption,
  urlOption,
} from '@tendon/platform/config.ts'
import { logLevels } from '@tendon/platform/log.ts'
import { redisUrlForms, redisUrlOption } from '@tendon/platform/redis-connection.ts'
import { signingKeys } from '@tendon/platform/url-signature.ts'
import { warehouseOptions } from '@tendon/warehouse/options.ts'
import { z } from 'zod'

/** Each address attaches a real server in place of the embedded part; they can be set in any mix. */
export const embeddedOptions = defineOptions({
  port: {
    env: 'PORT',
    flag: 'port',
    type: portOption,
    default: 8080,
    help: 'Port of the one public address (0: any).',
  },
  host: {
    env: 'HOST',
    flag: 'host',
    type: textOption,
    default: '127.0.0.1',
    help: 'Interface it listens on.',
  },
  publicUrl: {
    env: 'PUBLIC_URL',
    flag: 'public-url',
    type: publicUrlOption,
    optional: true,
    help: 'Address that browsers use, without a path, when not http://localhost:<port> (a tunnel, a container).',
  },
  data: {
    env: 'TENDON_DATA',
    flag: 'data',
    type: textOption,
    default: '.tendon',
    help: 'Folder of all data.',
  },
  reset: {
    env: 'TENDON_RESET',
    flag: 'reset',
    type: booleanOption,
    default: false,
    help: 'Empty the data folder first.',
  },
  simulator: {
    env: 'TENDON_SIMULATOR',
    flag: 'simulator',
    type: booleanOption,
    optional: true,
    help: 'Go on writing CRM changes and telemetry (default: when both databases are embedded; off: --no-simulator).',
  },
  demoData: {
    env: 'TENDON_DEMO_DATA',
    flag: 'demo-data',
    type: booleanOption,
    optional: true,
    help: 'Load the demo data, with its schemas (default: only into embedded databases).',
  },
  logLevel: {
    env: 'LOG_LEVEL',
    flag: 'log-level',
    type: z.enum(logLevels),
    default: 'info',
    help: 'Least level that reaches <data>/tendon.log.',
  },
  crmDatabaseUrl: {
    env: 'CRM_DATABASE_URL',
    type: databaseUrlOption,
    optional: true,
    help: 'The CRM PostgreSQL (wal_level=logical).',
  },
  telemetryDatabaseUrl: {
    env: 'TELEMETRY_DATABASE_URL',
    type: databaseUrlOption,
    optional: true,
    help: 'The telemetry PostgreSQL.',
  },
  ...warehouseOptions,
  clickhouseUrl: {
    env: 'CLICKHOUSE_URL',
    type: urlOption,
    optional: true,
    help: 'ClickHouse over HTTP (with CLICKHOUSE_USER, CLICKHOUSE_PASSWORD).',
  },
  kafkaBrokers: cdcOptions.kafkaBrokers,
  kafkaConnectUrl: cdcOptions.kafkaConnectUrl,
  clickhouseKafkaBrokers: cdcOptions.clickhouseKafkaBrokers,
  redisUrl: {
    env: 'REDIS_URL',
    type: redisUrlOption,
    optional: true,
    help: `Redis for sessions and generations: ${redisUrlForms}.`,
  },
  s3Endpoint: { env: 'S3_ENDPOINT', type: urlOption, optional: true, help: 'S3 for the report objects.' },
  s3Region: { env: 'S3_REGION', type: textOption, default: 'us-east-1', help: 'Region of the bucket.' },
  s3Bucket: { env: 'S3_BUCKET', type: textOption, default: 'tendon', help: 'Bucket of the report objects.' },
  s3ForcePathStyle: {
    env: 'S3_FORCE_PATH_STYLE',
    type: booleanOption,
    default: true,
    help: 'Whether the bucket stands in the path and not in the host name.',
  },
  s3AccessKeyId: {
    env: 'S3_ACCESS_KEY_ID',
    type: textOption,
    optional: true,
    help: 'Needed with S3_ENDPOINT.',
  },
  s3SecretAccessKey: {
    env: 'S3_SECRET_ACCESS_KEY',
    type: textOption,
    optional: true,
    help: 'Needed with S3_ENDPOINT.',
  },
  oidcIssuer: {
    env: 'OIDC_ISSUER',
    type: urlOption,
    optional: true,
    help: 'OpenID provider with the clients bff, tendon-cdc and tendon-etl.',
  },
  oidcBffSecret: {
    env: 'OIDC_BFF_SECRET',
    type: textOption,
    optional: true,
    help: 'Needed with OIDC_ISSUER.',
  },
  oidcCdcSecret: {
    env: 'OIDC_CDC_SECRET',
    type: textOption,
    optional: true,
    help: 'Needed with OIDC_ISSUER.',
  },
  oidcEtlSecret: {
    env: 'OIDC_ETL_SECRET',
    type: textOption,
    optional: true,
    help: 'Needed with OIDC_ISSUER.',
  },
  cdnBaseUrl: {
    env: 'CDN_BASE_URL',
    type: urlOption,
    optional: true,
    help: 'CDN that checks the signature and reads the same object store.',
  },
  cdnSigningKeys: {
    env: 'CDN_SIGNING_KEYS',
    type: signingKeys,
    optional: true,
    help: "The CDN's keys, <id>:<secret>[,<id>:<secret>], needed with CDN_BASE_URL.",
  },
  operationsPort: {
    env: 'OPERATIONS_PORT',
    type: portOption,
    default: 0,
    help: 'Port on loopback of /metrics and /readyz of all services; 0: any, said in tendon.log.',
  },
  feedTimeoutMs: {
    env: 'TENDON_FEED_TIMEOUT_MS',
    type: millisecondsOption,
    default: 60_000,
    help: 'How long the change feed may take to catch up at the start; a large CRM is read whole the first time.',
  },
  demoDays: {
    env: 'TENDON_DEMO_DAYS',
    type: z.coerce.number<string>().int().min(1).max(90),
    default: 90,
    help: 'Days of demo telemetry.',
  },
})

export type EmbeddedConfig = Config<typeof embeddedOptions>
