import { execFileSync } from 'node:child_process'
import { expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from './free-port.ts'
import { elapseInRedis, keyValueSuite } from './key-value.suite.ts'
import { createRedisKeyValue } from './key-value-redis.ts'
import { createLog } from './log.ts'
import { startRedisServer } from './test-redis-server.fixture.ts'

const log = createLog({ service: 'test', level: 'fatal' })

const cli = (port: number, ...args: string[]) =>
  execFileSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' })

keyValueSuite('key-value in a Redis cluster', async () => {
  const busPort = await freePort('127.0.0.1')
  const server = await startRedisServer({
    args: [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(busPort),
      '--cluster-announce-ip',
      '127.0.0.1',
    ],
  })
  cli(server.port, 'cluster', 'addslotsrange', '0', '16383')
  await vi.waitFor(() => expect(cli(server.port, 'cluster', 'info')).toContain('cluster_state:ok'), 10_000)
  const url = `redis+cluster://127.0.0.1:${server.port}`
  const [keyValue, elsewhere] = [createRedisKeyValue({ url, log }), createRedisKeyValue({ url, log })]
  return {
    keyValue,
    elsewhere,
    prefix: 'tendon:test:',
    elapse: elapseInRedis,
    async close() {
      await Promise.all([keyValue.close(), elsewhere.close()])
      await server.stop()
    },
  }
})

test('with sentinels it goes on at the replica when the master is killed', async () => {
  const master = await startRedisServer()
  const replica = await startRedisServer({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  const sentinel = await startRedisServer({ sentinelOf: master.port })
  const url = `redis+sentinel://127.0.0.1:${sentinel.port}/main`
  const keyValue = createRedisKeyValue({ url, log, commandTimeoutMs: 1_000 })
  onTestFinished(async () => {
    await keyValue.close()
    await Promise.all([sentinel.stop(), replica.stop()])
  })
  await keyValue.set('tendon:session:kept', 'session', { ttlMs: 60_000 })
  // The sentinel must know the replica, and the replica the key, before the master may go.
  await vi.waitFor(() => {
    expect(cli(sentinel.port, 'sentinel', 'replicas', 'main')).toContain(String(replica.port))
    expect(cli(replica.port, 'exists', 'tendon:session:kept')).toContain('1')
  }, 20_000)
  await master.kill()
  await vi.waitFor(async () => expect(await keyValue.get('tendon:session:kept')).toBe('session'), 30_000)
  expect(await keyValue.set('tendon:session:new', 'session', { ttlMs: 60_000 })).toBe(true)
})
