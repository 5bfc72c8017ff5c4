import { bffOptions } from '@tendon/bff/options.ts'
import { askConnect, askKafka } from '@tendon/cdc/kafka/ask-kafka.ts'
import { clientProblem, providerProblem } from '@tendon/platform/check-provider.ts'
import { defineOptions, readConfig } from '@tendon/platform/config.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import type { Log } from '@tendon/platform/log.ts'
import { reasonOf } from '@tendon/platform/reason-of.ts'
import { parseRedisUrl } from '@tendon/platform/redis-connection.ts'
import { openS3 } from '@tendon/reports-service/open-stores.ts'
import { inTransaction } from '@tendon/sources/in-transaction.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { embeddedErrors } from './errors.ts'
import type { EmbeddedConfig } from './options.ts'

const timeoutMs = 5_000

/**
 * Asks the attached servers whether they can be used at all, with the credentials that are set, before anything is
 * started: later, a wrong one looks like something that may yet come.
 * @throws TENDON-EMBEDDED-007 with all that is wrong: the variable, the address without its credentials, and why
 */
export async function requireAttachedServers(config: EmbeddedConfig, log: Log): Promise<void> {
  const problems = await Promise.all([
    problemOf('CRM_DATABASE_URL', config.crmDatabaseUrl, askPostgres),
    problemOf('TELEMETRY_DATABASE_URL', config.telemetryDatabaseUrl, askPostgres),
    problemOf('CLICKHOUSE_URL', config.clickhouseUrl, (url) => askClickHouse(url, config)),
    problemOf(
      'KAFKA_BROKERS',
      config.kafkaBrokers?.join(','),
      (list) => askKafka(list.split(','), log),
      asIs,
    ),
    problemOf('KAFKA_CONNECT_URL', config.kafkaConnectUrl, askConnect),
    problemOf('S3_ENDPOINT', config.s3Endpoint, (endpoint) =>
      openS3({ ...config, s3Endpoint: endpoint }).check(),
    ),
    problemOf('REDIS_URL', config.redisUrl, (url) => askRedis(url, log), redisNodes),
    providerProblems(config),
  ])
  const wrong = problems.flat()
  if (wrong.length > 0) throw embeddedErrors.attachedUnusable(wrong.join('\n'))
}

async function problemOf(
  variable: string,
  url: string | undefined,
  ask: (url: string) => Promise<void>,
  addressOf = shown,
): Promise<string[]> {
  if (!url) return []
  try {
    await ask(url)
    return []
  } catch (error) {
    return [`${variable}: ${addressOf(url)} cannot be used: ${reasonOf(error)}`]
  }
}

function askPostgres(url: string): Promise<void> {
  return inTransaction(url, async () => {}, AbortSignal.timeout(timeoutMs))
}

async function askClickHouse(url: string, config: EmbeddedConfig): Promise<void> {
  const { clickhouseUser: username, clickhousePassword: password } = config
  const warehouse = createWarehouse({ url, username, password })
  try {
    await warehouse.ping()
  } finally {
    await warehouse.close()
  }
}

async function askRedis(url: string, log: Log): Promise<void> {
  const keyValue = createRedisKeyValue({ url, log })
  try {
    await keyValue.check()
  } finally {
    await keyValue.close()
  }
}

const asIs = (address: string) => address

function redisNodes(url: string): string {
  const address = parseRedisUrl(url)
  const nodes = address.kind === 'server' ? [address.node] : address.nodes
  return nodes.map(({ host, port }) => `${host}:${port}`).join(',')
}

/** The bff's own, which this process is not asked for but passes on. */
const providerOptions = defineOptions({
  internalUrl: bffOptions.oidcInternalUrl,
  bffClientId: bffOptions.oidcClientId,
})

/** The provider first; when it is one, the secrets of its three clients. */
async function providerProblems(config: EmbeddedConfig): Promise<string[]> {
  const { oidcIssuer: issuer, oidcBffSecret, oidcCdcSecret, oidcEtlSecret } = config
  if (!issuer) return []
  const { internalUrl, bffClientId } = readConfig('Tendon', providerOptions, { env: process.env })
  const problem = await providerProblem({ issuer, internalUrl })
  if (problem) return [`OIDC_ISSUER: ${shown(issuer)} cannot be used: ${problem}`]
  const clients = [
    ['OIDC_BFF_SECRET', bffClientId, oidcBffSecret, 'authorization_code'],
    ['OIDC_CDC_SECRET', 'tendon-cdc', oidcCdcSecret, 'client_credentials'],
    ['OIDC_ETL_SECRET', 'tendon-etl', oidcEtlSecret, 'client_credentials'],
  ] as const
  const problems = clients.map(async ([variable, clientId, clientSecret = '', grant]) => {
    const refusal = await clientProblem({ issuer, internalUrl, clientId, clientSecret, grant })
    return refusal
      ? [`${variable}: ${shown(issuer)} refuses the client ${clientId} with this secret: ${refusal}`]
      : []
  })
  return (await Promise.all(problems)).flat()
}

/** Without what may be a password: that before the `@`, and that in the query. */
function shown(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
