import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { freePort } from './free-port.ts'
import { keyValueSuite } from './key-value.suite.ts'
import { createRedisKeyValue } from './key-value-redis.ts'
import { createLog } from './log.ts'

const log = createLog({ service: 'test', level: 'fatal' })

type Server = { port: number; kill(): Promise<void>; stop(): Promise<void> }

/** A redis-server of a test's own, in a folder of its own, once it says that it is ready. */
async function startRedis(options: { args?: string[]; sentinelOf?: number } = {}): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-redis-'))
  const port = await freePort('127.0.0.1')
  const file = join(folder, 'redis.conf')
  const common = `bind 127.0.0.1\nport ${port}\ndir ${folder}\n`
  await writeFile(
    file,
    options.sentinelOf === undefined
      ? `${common}save ""\nappendonly no\n`
      : `${common}sentinel monitor main 127.0.0.1 ${options.sentinelOf} 1\nsentinel down-after-milliseconds main 300\nsentinel failover-timeout main 1000\n`,
  )
  const args = [file, ...(options.sentinelOf === undefined ? [] : ['--sentinel']), ...(options.args ?? [])]
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    if (/Ready to accept connections|\+monitor/.test(line)) break
  }
  child.stdout.resume()
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  return { port, kill: () => end('SIGKILL'), stop: () => end('SIGTERM') }
}

const cli = (port: number, ...args: string[]) =>
  execFileSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' })

keyValueSuite('key-value in a Redis cluster', async () => {
  const busPort = await freePort('127.0.0.1')
  const server = await startRedis({
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
    elapse: (ms) => sleep(ms),
    async close() {
      await Promise.all([keyValue.close(), elsewhere.close()])
      await server.stop()
    },
  }
})

test('with sentinels it goes on at the replica when the master is killed', async () => {
  const master = await startRedis()
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  const sentinel = await startRedis({ sentinelOf: master.port })
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
