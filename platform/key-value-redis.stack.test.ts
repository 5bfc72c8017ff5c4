import { randomUUID } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'
import { elapseInRedis, keyValueSuite } from './key-value.suite.ts'
import { createRedisKeyValue } from './key-value-redis.ts'
import { createLog } from './log.ts'

const log = createLog({ service: 'test', level: 'fatal' })

keyValueSuite('key-value in Redis', async () => {
  const url = redisUrl()
  const prefix = `tendon:test:${randomUUID()}:`
  const [keyValue, elsewhere] = [createRedisKeyValue({ url, log }), createRedisKeyValue({ url, log })]
  return {
    keyValue,
    elsewhere,
    prefix,
    elapse: elapseInRedis,
    async close() {
      await Promise.all([keyValue.close(), elsewhere.close(), deleteKeys(url, prefix)])
    },
  }
})

test('goes on by itself after its connection was cut', async () => {
  // A command on the cut connection must fail at once: its own bound is beyond what the test waits.
  const { keyValue, key, proxy } = await openThroughProxy({ commandTimeoutMs: 20_000 })
  await keyValue.set(key, 'before', { ttlMs: 60_000 })
  proxy.cut()
  await vi.waitFor(async () => expect(await keyValue.get(key)).toBe('before'), { timeout: 5_000 })
})

test('fails what gets no answer in time, and does not send it again later', async () => {
  const { keyValue, key, proxy } = await openThroughProxy({ commandTimeoutMs: 200 })
  await keyValue.set(key, 'before', { ttlMs: 60_000 })
  proxy.stall()
  await expect(keyValue.set(key, 'late')).rejects.toMatchObject({ code: 'TENDON-PLATFORM-012' })
  proxy.cut()
  await vi.waitFor(async () => expect(await keyValue.get(key)).toBe('before'), { timeout: 5_000 })
})

test('gives up a connection on which nothing is answered, and makes another one', async () => {
  const { keyValue, key, proxy } = await openThroughProxy({ commandTimeoutMs: 200 })
  await keyValue.set(key, 'before', { ttlMs: 60_000 })
  proxy.stall()
  await expect(keyValue.get(key)).rejects.toMatchObject({ code: 'TENDON-PLATFORM-012' })
  await vi.waitFor(async () => expect(await keyValue.get(key)).toBe('before'), { timeout: 5_000 })
})

test('listens again after its connection was cut, and then says that it may have missed something', async () => {
  const { keyValue, key, proxy } = await openThroughProxy({ commandTimeoutMs: 2_000 })
  const heard: string[] = []
  await keyValue.subscribe(key, {
    onMessage: (text) => heard.push(text),
    onResume: () => heard.push('resumed'),
  })
  await keyValue.publish(key, ['before'])
  await vi.waitFor(() => expect(heard).toEqual(['before']))
  proxy.cut()
  await vi.waitFor(() => expect(heard).toEqual(['before', 'resumed']), { timeout: 5_000 })
  await vi.waitFor(() => keyValue.publish(key, ['after']), { timeout: 5_000 })
  await vi.waitFor(() => expect(heard).toEqual(['before', 'resumed', 'after']))
})

test('what a listener does not understand ends nothing, and counts as missed', async () => {
  const { keyValue, key } = await openThroughProxy({ commandTimeoutMs: 2_000 })
  const heard: unknown[] = []
  await keyValue.subscribe(key, {
    onMessage: (text) => heard.push(JSON.parse(text)),
    onResume: () => heard.push('missed'),
  })
  await keyValue.publish(key, ['of another version', '1'])
  await vi.waitFor(() => expect(heard).toEqual(['missed', 1]))
})

test('what the stack has set up cannot go back in time: a write that was confirmed is on the disk, and stays', async () => {
  const redis = new Redis(redisUrl())
  onTestFinished(() => redis.disconnect())
  const settings = ['appendonly', 'appendfsync', 'save', 'maxmemory-policy']
  const values = await Promise.all(settings.map((name) => redis.config('GET', name)))
  expect(values).toEqual([
    ['appendonly', 'yes'],
    ['appendfsync', 'always'],
    ['save', ''],
    ['maxmemory-policy', 'noeviction'],
  ])
})

async function openThroughProxy(options: { commandTimeoutMs: number }) {
  const proxy = await startProxy(new URL(redisUrl()))
  const keyValue = createRedisKeyValue({ url: proxy.url, log, ...options })
  const key = `tendon:test:${randomUUID()}`
  onTestFinished(async () => {
    await keyValue.delete(key)
    await keyValue.close()
    proxy.close()
  })
  return { keyValue, key, proxy }
}

/** Passes bytes on to Redis, until told to hold them back or to cut all connections. */
async function startProxy(target: URL): Promise<{ url: string; stall(): void; cut(): void; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(target.port || 6379), target.hostname)
    for (const socket of [near, far]) sockets.add(socket.on('error', () => socket.destroy()))
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  const url = new URL(target)
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: url.href,
    stall() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    cut,
    close() {
      cut()
      server.close()
    },
  }
}

async function deleteKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url)
  for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 })) {
    if (keys.length > 0) await redis.del(keys)
  }
  redis.disconnect()
}

function redisUrl(): string {
  const url = process.env.REDIS_URL
  if (!url) throw new Error('REDIS_URL is not set: this suite needs a running Redis')
  return url
}
