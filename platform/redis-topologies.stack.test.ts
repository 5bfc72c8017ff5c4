import { expect, onTestFinished, test, vi } from 'vitest'
import { elapseInRedis, keyValueSuite } from './key-value.suite.ts'
import { createRedisKeyValue } from './key-value-redis.ts'
import { createLog } from './log.ts'
import { askRedisCli, startRedisCluster, startRedisWithSentinel } from './test-redis-server.fixture.ts'

const log = createLog({ service: 'test', level: 'fatal' })

keyValueSuite('key-value in a Redis cluster', async () => {
  const { url, stop } = await startRedisCluster()
  const [keyValue, elsewhere] = [createRedisKeyValue({ url, log }), createRedisKeyValue({ url, log })]
  return {
    keyValue,
    elsewhere,
    prefix: 'tendon:test:',
    elapse: elapseInRedis,
    async close() {
      await Promise.all([keyValue.close(), elsewhere.close()])
      await stop()
    },
  }
})

test('with sentinels it goes on at the replica when the master is killed', async () => {
  const { url, master, replica, sentinel, stop } = await startRedisWithSentinel()
  const keyValue = createRedisKeyValue({ url, log, commandTimeoutMs: 1_000 })
  onTestFinished(async () => {
    await keyValue.close()
    await stop()
  })
  await keyValue.set('tendon:session:kept', 'session', { ttlMs: 60_000 })
  // The sentinel must know the replica, and the replica the key, before the master may go.
  await vi.waitFor(() => {
    expect(askRedisCli(sentinel.port, 'sentinel', 'replicas', 'main')).toContain(String(replica.port))
    expect(askRedisCli(replica.port, 'exists', 'tendon:session:kept')).toContain('1')
  }, 20_000)
  await master.kill()
  await vi.waitFor(async () => expect(await keyValue.get('tendon:session:kept')).toBe('session'), 30_000)
  expect(await keyValue.set('tendon:session:new', 'session', { ttlMs: 60_000 })).toBe(true)
})
