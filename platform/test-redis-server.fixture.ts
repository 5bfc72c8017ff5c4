import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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
      : `sentinel monitor main 127.0.0.1 ${sentinelOf} 1\nsentinel down-after-milliseconds main 300\nsentinel failover-timeout main 1000\n`
  await writeFile(file, `bind 127.0.0.1\nport ${port}\ndir ${folder}\n${role}`)
  const child = spawn('redis-server', [file, ...(sentinelOf === undefined ? [] : ['--sentinel']), ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await untilReady(child)
  const end = async (signal: NodeJS.Signals) => {
    const exited = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await exited
    await rm(folder, { recursive: true, force: true })
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

async function untilReady(child: ChildProcess): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) {
    if (/Ready to accept connections|\+monitor/.test(line)) break
  }
  child.stdout!.resume()
}
