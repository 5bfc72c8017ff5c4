import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseEnv, promisify } from 'node:util'

const program = fileURLToPath(new URL('../deploy/native/stack.ts', import.meta.url))
const run = promisify(execFile)

export type NativeStack<PartName extends string> = {
  /** `kill -9`. */
  kill(part: PartName): Promise<void>
  /** Starts what is down, and waits until it serves. */
  up(): Promise<void>
  /** Breaks every TCP connection to a part, from both sides at once. */
  cutConnections(part: PartName): Promise<void>
  remove(): Promise<void>
}

/**
 * Real servers for one test file, which may kill them: the stack that others use stays as it is. Their addresses go into
 * the environment.
 * @param portOffset of its own for each file
 * @param parts as `npm run stack` names them
 */
export async function startNativeStack<PartName extends string>(
  portOffset: number,
  parts: readonly PartName[],
): Promise<NativeStack<PartName>> {
  const folder = join(tmpdir(), `tendon-torture-${portOffset}`)
  const env = { ...process.env, TENDON_STACK_PORT_OFFSET: String(portOffset), TENDON_STACK_DIR: folder }
  const stack = async (...args: string[]) => (await run(process.execPath, [program, ...args], { env })).stdout

  async function find(part: PartName): Promise<{ pid: number; port: string }> {
    const line = (await stack('status')).split('\n').find((text) => text.startsWith(`${part} `))
    const found = /pid (\d+), 127\.0\.0\.1:(\d+)/.exec(line ?? '')
    if (!found) throw new Error(`${part} does not run: ${line}`)
    return { pid: Number(found[1]), port: found[2]! }
  }

  // A run that was killed may have left its own.
  await stack('down')
  try {
    await stack('up', ...parts)
  } catch (error) {
    await stack('down')
    throw error
  }
  const exported = (await stack('env', ...parts)).replaceAll(/^export /gm, '')
  Object.assign(process.env, parseEnv(exported))
  return {
    async kill(part) {
      const { pid } = await find(part)
      process.kill(pid, 'SIGKILL')
      // PostgreSQL does not start beside a process of that number, and one that nobody has waited for yet counts.
      for (const deadline = performance.now() + 60_000; isKnown(pid); await delay(10)) {
        if (performance.now() > deadline)
          throw new Error(`${part} was killed, and process ${pid} is still there`)
      }
    },
    async up() {
      await stack('up', ...parts)
    },
    async cutConnections(part) {
      await cutConnectionsTo(Number((await find(part)).port))
    },
    async remove() {
      await stack('down')
    },
  }
}

function isKnown(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Ends TCP connections to a port of this machine from outside. @throws when there are none, or the kernel does not do it */
export async function cutConnectionsTo(port: number): Promise<void> {
  const deadline = performance.now() + 20_000
  const filter = `( sport = :${port} or dport = :${port} )`
  for (;;) {
    // It lists those that it has ended.
    const { stdout } = await run('ss', ['--kill', '--no-header', '--tcp', 'state', 'established', filter])
    if (stdout.trim() !== '') return
    if (performance.now() > deadline) throw new Error(`no connection to port ${port} could be cut`)
  }
}
