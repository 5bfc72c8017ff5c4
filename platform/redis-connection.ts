import { once } from 'node:events'
import { Cluster, Redis } from 'ioredis'
import { z } from 'zod'
import type { Log } from './log.ts'
import { platformErrors } from './platform-errors.ts'

export type RedisClient = Redis | Cluster

type Node = { host: string; port: number }
type Credentials = { username?: string; password?: string; db: number; tls?: object }

export type RedisAddress =
  | { kind: 'server'; node: Node; credentials: Credentials }
  | { kind: 'sentinel'; nodes: Node[]; master: string; credentials: Credentials }
  | { kind: 'cluster'; nodes: Node[]; credentials: Credentials }

const schemes: Record<string, { kind: RedisAddress['kind']; tls: boolean; port: number }> = {
  redis: { kind: 'server', tls: false, port: 6379 },
  rediss: { kind: 'server', tls: true, port: 6379 },
  'redis+sentinel': { kind: 'sentinel', tls: false, port: 26_379 },
  'rediss+sentinel': { kind: 'sentinel', tls: true, port: 26_379 },
  'redis+cluster': { kind: 'cluster', tls: false, port: 6379 },
  'rediss+cluster': { kind: 'cluster', tls: true, port: 6379 },
}

const addressPattern =
  /^(?<scheme>[a-z+]+):\/\/(?:(?<user>[^:@/]*):(?<password>[^@/]*)@)?(?<hosts>[^/@?]+)(?:\/(?<path>[^?]*))?$/

/**
 * `redis://[user:password@]host:port/db`; `redis+sentinel://host:port,host:port/<master>/<db>`;
 * `redis+cluster://host:port,host:port`. With `rediss` in front, TLS.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const { scheme = '', user, password, hosts = '', path = '' } = addressPattern.exec(url)?.groups ?? {}
  const known = schemes[scheme]
  if (!known) throw new Error('not an address of Redis, as redis://host:6379')
  const nodes = hosts.split(',').map((host) => parseNode(host, known.port))
  const segments = path.split('/').filter(Boolean)
  const master = known.kind === 'sentinel' ? segments.shift() : undefined
  const [database = '0'] = segments
  if (segments.length > 1 || !/^\d+$/.test(database)) throw new Error('the database is not a number')
  const credentials: Credentials = {
    ...(user && { username: decodeURIComponent(user) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(known.tls && { tls: {} }),
    db: Number(database),
  }
  if (known.kind === 'sentinel') {
    if (!master) throw new Error('the name of the master is missing, as redis+sentinel://host:26379/mymaster')
    return { kind: 'sentinel', nodes, master, credentials }
  }
  if (known.kind === 'cluster') {
    if (credentials.db !== 0) throw new Error('a cluster has database 0 alone')
    return { kind: 'cluster', nodes, credentials }
  }
  const [node] = nodes
  if (!node || nodes.length > 1)
    throw new Error('several hosts are for redis+sentinel:// and redis+cluster://')
  return { kind: 'server', node, credentials }
}

function parseNode(text: string, defaultPort: number): Node {
  const { host, port } = /^(?<host>\[[0-9a-f:]+\]|[^:[\]]+)(?::(?<port>\d{1,5}))?$/i.exec(text)?.groups ?? {}
  if (!host) throw new Error(`${text} is not a host and a port`)
  return { host: host.replace(/^\[|\]$/g, ''), port: port ? Number(port) : defaultPort }
}

/** For help texts. */
export const redisUrlForms =
  'redis://host:6379, redis+sentinel://host:26379,host:26379/<master> or redis+cluster://host:6379,host:6379; rediss for TLS'

/** The text is kept as it is: it is parsed where the connection is made. */
export const redisUrlOption = z.string().superRefine((url, context) => {
  try {
    parseRedisUrl(url)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

const retryStrategy = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000)

/**
 * A connection that is made again for ever, with backoff. A command that finds none, or gets no answer in
 * `commandTimeoutMs`, fails, so that requests do not pile up behind a Redis that is away; it is never sent again
 * later, when what it would write may have ended.
 */
export function openRedis(options: { url: string; log: Log; commandTimeoutMs: number }): RedisClient {
  const { url, log, commandTimeoutMs } = options
  const address = parseRedisUrl(url)
  const client = connect(address, commandTimeoutMs)
  client.on('error', (err) => log.warn({ err }, 'redis connection failed'))
  return client
}

function connect(address: RedisAddress, commandTimeoutMs: number): RedisClient {
  const common = {
    ...address.credentials,
    commandTimeout: commandTimeoutMs,
    // One that takes commands and answers none is as one that is gone: the next connection shows when it is back.
    socketTimeout: commandTimeoutMs,
    connectTimeout: 2_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Who listens does so again itself, to know when it stands.
    autoResubscribe: false,
  }
  switch (address.kind) {
    case 'server':
      return new Redis({ ...common, ...address.node, retryStrategy })
    case 'sentinel':
      return new Redis({
        ...common,
        sentinels: address.nodes,
        name: address.master,
        enableTLSForSentinelMode: common.tls !== undefined,
        retryStrategy,
        sentinelRetryStrategy: retryStrategy,
      })
    case 'cluster': {
      const { tls } = common
      return new Cluster(address.nodes, {
        redisOptions: common,
        enableOfflineQueue: false,
        clusterRetryStrategy: retryStrategy,
        // A node that moved its slots is followed; one that is gone must not hold the request.
        slotsRefreshTimeout: 2_000,
        // Certificates name hosts, which ioredis would resolve to addresses first.
        ...(tls && {
          dnsLookup: (host: string, done: (error: null, host: string) => void) => done(null, host),
        }),
      })
    }
  }
}

/**
 * Runs commands on a connection. While there is none, the first attempt to make one is waited for; when that has failed,
 * commands fail at once until another has not.
 * @throws TENDON-PLATFORM-012
 */
export function createAsking(redis: RedisClient, commandTimeoutMs: number) {
  let connecting: Promise<unknown> | undefined
  let hasFailed = false
  redis.on('ready', () => {
    hasFailed = false
  })

  function connected(): Promise<unknown> {
    if (redis.status === 'end') throw new Error('the connection was closed')
    if (hasFailed) throw new Error('no connection could be made')
    connecting ??= once(redis, 'ready', { signal: AbortSignal.timeout(commandTimeoutMs) })
      .catch((error) => {
        hasFailed = true
        throw error
      })
      .finally(() => {
        connecting = undefined
      })
    return connecting
  }

  return async <T>(ask: () => Promise<T>): Promise<T> => {
    try {
      if (redis.status !== 'ready') await connected()
      return await ask()
    } catch (error) {
      throw platformErrors.keyValueUnavailable('Redis did not answer', { cause: error })
    }
  }
}
