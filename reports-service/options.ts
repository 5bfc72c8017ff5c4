import {
  booleanOption,
  type Config,
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

/** What the service itself is told; where its parts are is told to whoever makes them. */
export const reportsOptions = defineOptions({
  cdnBaseUrl: {
    env: 'CDN_BASE_URL',
    type: urlOption,
    help: "The CDN's public address, below which objects are served, as in https://cdn.example.org",
  },
  signingKeys: {
    env: 'CDN_SIGNING_KEYS',
    type: signingKeys,
    help: 'Keys of the links, <id>:<secret>[,<id>:<secret>]: the first one signs, the CDN accepts all',
  },
  concurrentQueries: {
    env: 'REPORTS_CONCURRENT_QUERIES',
    type: z.coerce.number<string>().int().positive(),
    default: 8,
    help: 'Queries of this instance that ClickHouse runs at once; further ones wait',
  },
  queryTimeoutMs: {
    env: 'REPORTS_QUERY_TIMEOUT_MS',
    type: millisecondsOption,
    default: 10_000,
    help: 'How long one query of ClickHouse may take; then it is ended',
  },
  objectMaxAgeDays: {
    env: 'REPORTS_OBJECT_MAX_AGE_DAYS',
    type: z.coerce.number<string>().int().positive(),
    default: 7,
    help: 'Objects of reports older than this are deleted; none is handed out in the second half of that time',
  },
  prewarmUsers: {
    env: 'REPORTS_PREWARM_USERS',
    type: z.coerce.number<string>().int().min(0),
    default: 500,
    help: 'Users seen last whose reports this instance computes ahead when they are invalidated; 0: none',
  },
})

export type ReportsConfig = Config<typeof reportsOptions>

/** All that a process of its own is told. */
export const reportsProcessOptions = defineOptions({
  ...reportsOptions,
  ...warehouseOptions,
  host: { env: 'HOST', flag: 'host', type: textOption, default: '127.0.0.1', help: 'Address to listen on' },
  port: { env: 'PORT', flag: 'port', type: portOption, default: 8082, help: 'Port to listen on' },
  logLevel: {
    env: 'LOG_LEVEL',
    flag: 'log-level',
    type: z.enum(logLevels),
    default: 'info',
    help: 'Least level of what is logged',
  },
  oidcIssuer: { env: 'OIDC_ISSUER', type: urlOption, help: 'Issuer of the access tokens, as they name it' },
  oidcInternalUrl: {
    env: 'OIDC_INTERNAL_URL',
    type: urlOption,
    optional: true,
    help: 'Address at which this process reaches the issuer, when not at its public one',
  },
  redisUrl: {
    env: 'REDIS_URL',
    type: redisUrlOption,
    optional: true,
    help: `Redis with generations and leases: ${redisUrlForms}. Without it they are in memory, for one instance alone`,
  },
  objectsPath: {
    env: 'OBJECTS_PATH',
    type: textOption,
    default: '.tendon/objects',
    help: 'Folder of the reports; used when S3_ENDPOINT is not set',
  },
  s3Endpoint: { env: 'S3_ENDPOINT', type: urlOption, optional: true, help: 'Address of the object store' },
  s3Region: { env: 'S3_REGION', type: textOption, default: 'us-east-1', help: 'Its region' },
  s3Bucket: { env: 'S3_BUCKET', type: textOption, default: 'tendon', help: 'Bucket of the reports' },
  s3AccessKeyId: { env: 'S3_ACCESS_KEY_ID', type: textOption, optional: true, help: 'Its access key' },
  s3SecretAccessKey: {
    env: 'S3_SECRET_ACCESS_KEY',
    type: textOption,
    optional: true,
    help: 'Its secret key',
  },
  s3ForcePathStyle: {
    env: 'S3_FORCE_PATH_STYLE',
    type: booleanOption,
    default: true,
    help: 'Whether the bucket stands in the path and not in the host name; MinIO wants it',
  },
})

export type ReportsProcessConfig = Config<typeof reportsProcessOptions>
