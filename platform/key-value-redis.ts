import { randomUUID } from 'node:crypto'
import { Cluster } from 'ioredis'
import { assertTtl, type KeyValue } from './key-value.ts'
import type { Log } from './log.ts'
import { createAsking, openRedis } from './redis-connection.ts'
import { createRedisSubscriptions } from './redis-subscriptions.ts'

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

// In a cluster PUBLISH may go to any node, and what went to two comes in any order; a script goes where its key belongs.
const publishScript = `
for _, message in ipairs(ARGV) do redis.call('PUBLISH', KEYS[1], message) end`

const batchSize = 1_000

/**
 * Key-value in Redis (6.2 or newer: GETDEL), shared by all instances: one server, behind sentinels, or a cluster.
 * Each command is about one key, so that a cluster can run it.
 */
export function createRedisKeyValue(options: {
  /** See `parseRedisUrl`. */
  url: string
  log: Log
  commandTimeoutMs?: number
}): KeyValue {
  const { url, log, commandTimeoutMs = 2_000 } = options
  const redis = openRedis({ url, log, commandTimeoutMs })
  const ask = createAsking(redis, commandTimeoutMs)
  const subscriptions = createRedisSubscriptions({ url, log, commandTimeoutMs })

  const isCluster = redis instanceof Cluster

  return {
    get: batched(getMany),
    has: batched(hasMany),
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
    publish: (channel, messages) =>
      asking(async () => void (await redis.eval(publishScript, 1, channel, ...messages))),
    subscribe: subscriptions.subscribe,
    check: () => asking(async () => void (await redis.ping())),
    async close() {
      subscriptions.close()
      redis.disconnect()
    },
  }

  function set(key: string, value: string, ttlMs?: number, onlyIfAbsent?: boolean): Promise<'OK' | null> {
    if (ttlMs === undefined) return onlyIfAbsent ? redis.set(key, value, 'NX') : redis.set(key, value)
    return onlyIfAbsent ? redis.set(key, value, 'PX', ttlMs, 'NX') : redis.set(key, value, 'PX', ttlMs)
  }

  /** What is asked in one turn of the event loop becomes one command, and the same key is asked once. */
  function batched<T>(askMany: (keys: string[]) => Promise<T[]>): (key: string) => Promise<T> {
    let next: Map<string, PromiseWithResolvers<T>> | undefined

    async function send(batch: Map<string, PromiseWithResolvers<T>>): Promise<void> {
      const waiting = [...batch.values()]
      try {
        const values = await ask(() => askMany([...batch.keys()]))
        for (const [position, { resolve }] of waiting.entries()) resolve(values[position]!)
      } catch (error) {
        for (const { reject } of waiting) reject(error)
      }
    }

    return (key) => {
      if (!next) {
        const batch = new Map<string, PromiseWithResolvers<T>>()
        next = batch
        // Behind the requests that have come by now, each of which is read in a callback of its own.
        setImmediate(() => {
          next = undefined
          void send(batch)
        })
      }
      const known = next.get(key)
      if (known) return known.promise
      const asked = Promise.withResolvers<T>()
      next.set(key, asked)
      return asked.promise
    }
  }

  async function getMany(keys: string[]): Promise<(string | undefined)[]> {
    const isOneCommand = keys.length > 1 && !isCluster
    const found = isOneCommand ? await redis.mget(keys) : await Promise.all(keys.map((key) => redis.get(key)))
    return found.map((value) => value ?? undefined)
  }

  /** Redis says how many are there; which, only when it is not all of them. */
  async function hasMany(keys: string[]): Promise<boolean[]> {
    const areAll = keys.length > 1 && !isCluster && (await redis.exists(keys)) === keys.length
    if (areAll) return keys.map(() => true)
    return Promise.all(keys.map(async (key) => (await redis.exists(key)) === 1))
  }

  /** In batches, so that a hundred thousand keys neither take as many round trips nor block others. */
  async function setMany(entries: Iterable<readonly [string, string]>, ttlMs?: number): Promise<void> {
    // One command for a batch costs a twentieth; a cluster runs it only for keys of one slot.
    const isOneCommand = ttlMs === undefined && !isCluster
    const write = (batch: (readonly [string, string])[]) =>
      isOneCommand
        ? redis.mset(batch.flat())
        : Promise.all(batch.map(([key, value]) => set(key, value, ttlMs)))
    let batch: (readonly [string, string])[] = []
    for (const entry of entries) {
      batch.push(entry)
      if (batch.length < batchSize) continue
      await write(batch)
      batch = []
    }
    if (batch.length > 0) await write(batch)
  }

  async function asking<T>(command: () => Promise<T>, ttlMs?: number): Promise<T> {
    assertTtl(ttlMs)
    return ask(command)
  }
}
