import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type ChainableCommander, Redis } from 'ioredis'
import { assertTtl, type KeyValue } from './key-value.ts'
import type { Log } from './log.ts'
import { platformErrors } from './platform-errors.ts'

// Compare and set: whoever lost the lease must not renew or release the next holder's
// (https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/).
const renewScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`
const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

const replaceScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1`

const batchSize = 1_000

/**
 * Key-value in Redis (6.2 or newer: GETDEL), shared by all instances.
 *
 * A lost connection is made again for ever, with backoff. A command that finds none, or gets no answer in
 * `commandTimeoutMs`, fails, so that requests do not pile up behind a Redis that is away; it is never sent again
 * later, when a session it would write may have ended.
 */
export function createRedisKeyValue(options: {
  /** `redis://[user:password@]host:port/db`, or `rediss://` for TLS. */
  url: string
  log: Log
  commandTimeoutMs?: number
}): KeyValue {
  const { url, log, commandTimeoutMs = 2_000 } = options
  const redis = new Redis(url, {
    commandTimeout: commandTimeoutMs,
    connectTimeout: 2_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 6), 2_000),
  })
  redis.on('error', (err) => log.warn({ err }, 'redis connection failed'))
  let connecting: Promise<unknown> | undefined

  return {
    get: (key) => asking(async () => (await redis.get(key)) ?? undefined),
    set(key, value, { ttlMs, onlyIfAbsent } = {}) {
      return asking(async () => (await set(key, value, ttlMs, onlyIfAbsent)) === 'OK', ttlMs)
    },
    replace(key, expected, value, { ttlMs } = {}) {
      const parameters = ttlMs === undefined ? [expected, value] : [expected, value, ttlMs]
      return asking(async () => (await redis.eval(replaceScript, 1, key, ...parameters)) === 1, ttlMs)
    },
    delete: (key) => asking(async () => (await redis.del(key)) === 1),
    getAndDelete: (key) => asking(async () => (await redis.getdel(key)) ?? undefined),
    setMany: (entries, { ttlMs } = {}) => asking(() => setMany(entries, ttlMs), ttlMs),
    async acquireLease(key, ttlMs) {
      const token = randomUUID()
      const acquired = await asking(() => set(key, token, ttlMs, true), ttlMs)
      if (acquired !== 'OK') return undefined
      return {
        token,
        renew: () => asking(async () => (await redis.eval(renewScript, 1, key, token, ttlMs)) === 1),
        release: () => asking(async () => (await redis.eval(releaseScript, 1, key, token)) === 1),
      }
    },
    check: () => asking(async () => void (await redis.ping())),
    close: async () => redis.disconnect(),
  }

  function set(key: string, value: string, ttlMs?: number, onlyIfAbsent?: boolean): Promise<'OK' | null> {
    if (ttlMs === undefined) return onlyIfAbsent ? redis.set(key, value, 'NX') : redis.set(key, value)
    return onlyIfAbsent ? redis.set(key, value, 'PX', ttlMs, 'NX') : redis.set(key, value, 'PX', ttlMs)
  }

  /** Pipelined in batches, so that a hundred thousand keys neither take as many round trips nor block others. */
  async function setMany(entries: Iterable<readonly [string, string]>, ttlMs?: number): Promise<void> {
    let pipeline = redis.pipeline()
    for (const [key, value] of entries) {
      if (ttlMs === undefined) pipeline.set(key, value)
      else pipeline.set(key, value, 'PX', ttlMs)
      if (pipeline.length < batchSize) continue
      await execute(pipeline)
      pipeline = redis.pipeline()
    }
    await execute(pipeline)
  }

  /** A pipeline resolves also when single commands of it failed. */
  async function execute(pipeline: ChainableCommander): Promise<void> {
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
  }

  /** Waits for the attempt under way, also the first one; fails with it. */
  function connected(): Promise<unknown> {
    if (redis.status === 'end') throw new Error('the connection was closed')
    connecting ??= once(redis, 'ready', { signal: AbortSignal.timeout(commandTimeoutMs) }).finally(() => {
      connecting = undefined
    })
    return connecting
  }

  async function asking<T>(ask: () => Promise<T>, ttlMs?: number): Promise<T> {
    assertTtl(ttlMs)
    try {
      if (redis.status !== 'ready') await connected()
      return await ask()
    } catch (error) {
      throw platformErrors.keyValueUnavailable('Redis did not answer', { cause: error })
    }
  }
}
