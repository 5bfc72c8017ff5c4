import {
  type Config,
  defineOptions,
  millisecondsOption,
  portOption,
  textOption,
  urlOption,
} from '@tendon/platform/config.ts'
import { logLevels } from '@tendon/platform/log.ts'
import { redisUrlForms, redisUrlOption } from '@tendon/platform/redis-connection.ts'
import { z } from 'zod'
import { trustedProxiesOption } from './protection/client-address.ts'
import { publicUrlOption } from './public-url.ts'
import { encryptionKeysOption } from './sessions/token-encryption.ts'

/** Scheme, host and port, several with commas between. */
const originsOption = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .refine((entries) => entries.every((entry) => URL.canParse(entry)), 'not addresses with commas between')
  .transform((entries) => entries.map((entry) => new URL(entry).origin))

const rateOption = z.coerce.number<string>().int().positive()

export const bffOptions = defineOptions({
  port: { env: 'PORT', flag: 'port', type: portOption, default: 8080, help: 'Port it listens on.' },
  host: {
    env: 'HOST',
    flag: 'host',
    type: textOption,
    default: '127.0.0.1',
    help: 'Interface it listens on.',
  },
  operationsPort: {
    env: 'OPERATIONS_PORT',
    type: portOption,
    default: 8081,
    help: 'Port of /metrics and /readyz, which the public must not reach.',
  },
  operationsHost: {
    env: 'OPERATIONS_HOST',
    type: textOption,
    default: '127.0.0.1',
    help: 'Interface of that port: loopback, or where probes and Prometheus come from.',
  },
  publicUrl: {
    env: 'PUBLIC_URL',
    flag: 'public-url',
    type: publicUrlOption,
    help: 'Address that browsers use, as https://reports.example.com; by http on a network of your own alone.',
  },
  oidcIssuer: { env: 'OIDC_ISSUER', type: urlOption, help: 'Issuer of the tokens, as they name it.' },
  oidcInternalUrl: {
    env: 'OIDC_INTERNAL_URL',
    type: urlOption,
    optional: true,
    help: 'Origin at which this process reaches the issuer, when not at its public one.',
  },
  oidcClientId: { env: 'OIDC_CLIENT_ID', type: textOption, default: 'bff', help: 'Client at the provider.' },
  oidcClientSecret: {
    env: 'OIDC_CLIENT_SECRET',
    type: textOption,
    help: "The client's secret, for client_secret_basic.",
  },
  reportsServiceUrl: {
    env: 'REPORTS_SERVICE_URL',
    type: originsOption,
    help: 'Address of the reports service; of several instances, with commas between.',
  },
  reportsTimeoutMs: {
    env: 'REPORTS_TIMEOUT_MS',
    type: millisecondsOption,
    default: 15_000,
    help: 'How long the reports service may take to answer.',
  },
  cdnBaseUrl: {
    env: 'CDN_BASE_URL',
    type: urlOption,
    optional: true,
    help: 'Where report objects are fetched from, when not under the public address.',
  },
  sessionKeys: {
    env: 'SESSION_KEYS',
    type: encryptionKeysOption,
    help: 'Keys of sessions at rest, `id:base64` of 32 bytes with commas between; the first encrypts, all decrypt.',
  },
  sessionMs: {
    env: 'SESSION_MS',
    type: millisecondsOption,
    default: 8 * 3_600_000,
    help: 'How long a sign-in lasts at most.',
  },
  eventHeartbeatMs: {
    env: 'EVENT_HEARTBEAT_MS',
    type: millisecondsOption,
    default: 15_000,
    help: 'How often a stream of events says that it is there; proxies close what is silent for long.',
  },
  idleMs: {
    env: 'SESSION_IDLE_MS',
    type: millisecondsOption,
    default: 30 * 60_000,
    help: 'How long a sign-in lasts that nobody uses.',
  },
  trustedProxies: {
    env: 'TRUSTED_PROXIES',
    type: trustedProxiesOption,
    default: [],
    help: 'Addresses and networks of the proxies in front, with commas between, whose X-Forwarded-For is believed.',
  },
  loginsPerMinute: {
    env: 'LOGINS_PER_MINUTE',
    type: rateOption,
    default: 60,
    help: 'Sign-ins that one address (of IPv6, one /64) may begin in a minute, and callbacks.',
  },
  apiRequestsPerMinute: {
    env: 'API_REQUESTS_PER_MINUTE',
    type: rateOption,
    default: 1_200,
    help: 'Requests that one session may make in a minute.',
  },
  apiRequestsPerMinutePerAddress: {
    env: 'API_REQUESTS_PER_MINUTE_PER_ADDRESS',
    type: rateOption,
    default: 12_000,
    help: 'Requests without a session that may come from one address in a minute, sign-ins apart; with, each session has its own limit.',
  },
  auditLogFile: {
    env: 'AUDIT_LOG_FILE',
    type: textOption,
    optional: true,
    help: 'File of the audit log; without it, it stands in the log with "stream":"audit".',
  },
  redisUrl: {
    env: 'REDIS_URL',
    type: redisUrlOption,
    optional: true,
    help: `Redis, where sessions are kept: ${redisUrlForms}. Without it they are in memory, for one instance alone.`,
  },
  webRoot: {
    env: 'WEB_ROOT',
    type: textOption,
    optional: true,
    help: 'Folder of the built web application.',
  },
  logLevel: {
    env: 'LOG_LEVEL',
    type: z.enum(logLevels),
    default: 'info',
    help: 'Least level that is logged.',
  },
})

/** What `createBff` needs; the rest of the table is for the process around it. */
export type BffConfig = Omit<
  Config<typeof bffOptions>,
  'port' | 'host' | 'operationsPort' | 'operationsHost' | 'redisUrl' | 'webRoot' | 'logLevel' | 'auditLogFile'
>
