import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { freePort } from './free-port.ts'

/**
 * A redis-server of a test's own, in a folder of its own, once it says that it is ready.
 * @param options.sentinelOf port of the master that it watches under the name `main`
 */
export async function startRedisServer(options: { args?: string[]; sentinelOf?: number } = {}) {
  const { args = [], sentinelOf } = options
  const folder = await mkdtemp(join(tmpdir(), 'tendon-redis-'))
  const port = await freePort('127.0.0.1')
  const file = join(folder, 'redis.conf')
  const role =
    sentinelOf === undefined
      ? 'save ""\nappendonly no\n'
      : `sentinel monitor main 127.0.0.1 ${sentinelOf} 1\nsentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 1000\n`
  await writeFile(file, `bind 127.0.0.1\nport ${port}\ndir ${folder}\n${role}`)
  const child = spawn('redis-server', [file, ...(sentinelOf === undefined ? [] : ['--sentinel']), ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const end = async (signal: NodeJS.Signals) => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill('SIGCONT')
      child.kill(signal)
      await exited
    }
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await once(child, 'spawn')
    await untilReady(child)
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    /** It accepts and does not answer, as a machine does that is gone. */
    pause: async () => void child.kill('SIGSTOP'),
    resume: async () => void child.kill('SIGCONT'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

/** What redis-cli answers. */
export const askRedisCli = (port: number, ...args: (string | number)[]): string =>
  execFileSync('redis-cli', ['-p', ...[port, ...args].map(String)], { encoding: 'utf8' })

/** A cluster of three, each with a third of the slots. */
export async function startRedisCluster() {
  const slots = [
    [0, 5_460],
    [5_461, 10_922],
    [10_923, 16_383],
  ] as const
  await using begun = new AsyncDisposableStack()
  const nodes: { port: number; busPort: number }[] = []
  for (const [from, to] of slots) {
    const busPort = await freePort('127.0.0.1')
    const addresses = ['--cluster-port', String(busPort), '--cluster-announce-ip', '127.0.0.1']
    const { port, stop } = await startRedisServer({ args: ['--cluster-enabled', 'yes', ...addresses] })
    begun.defer(stop)
    askRedisCli(port, 'cluster', 'addslotsrange', from, to)
    nodes.push({ port, busPort })
  }
  const [first, ...others] = nodes
  for (const { port, busPort } of others)
    askRedisCli(first!.port, 'cluster', 'meet', '127.0.0.1', port, busPort)
  for (const deadline = Date.now() + 30_000; !nodes.every(knowsTheWhole); await setTimeout(50)) {
    if (Date.now() > deadline) throw new Error('the nodes of the cluster have not met')
  }
  const servers = begun.move()
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    ports: nodes.map(({ port }) => port),
    stop: () => servers.disposeAsync(),
  }
}

function knowsTheWhole({ port }: { port: number }): boolean {
  const nodes = askRedisCli(port, 'cluster', 'nodes')
  return (
    askRedisCli(port, 'cluster', 'info').includes('cluster_state:ok') &&
    nodes.trim().split('\n').length === 3 &&
    !/handshake|fail/.test(nodes)
  )
}

/** A master with a replica, and a sentinel that sees to them. */
export async function startRedisWithSentinel() {
  await using begun = new AsyncDisposableStack()
  const start = async (options: Parameters<typeof startRedisServer>[0]) => {
    const server = await startRedisServer(options)
    begun.defer(server.stop)
    return server
  }
  const master = await start({})
  const replica = await start({ args: ['--replicaof', '127.0.0.1', String(master.port)] })
  const sentinel = await start({ sentinelOf: master.port })
  const servers = begun.move()
  return {
    url: `redis+sentinel://127.0.0.1:${sentinel.port}/main`,
    master,
    replica,
    sentinel,
    stop: () => servers.disposeAsync(),
  }
}

async function untilReady(child: ChildProcess): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) {
    if (!/Ready to accept connections|\+monitor/.test(line)) continue
    child.stdout!.resume()
    return
  }
  throw new Error('redis-server ended before it was ready')
}
