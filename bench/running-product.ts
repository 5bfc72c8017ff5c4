import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { embeddedOptions } from '@tendon/embedded/options.ts'
import { z } from 'zod'
import { processTree, type RunningProcess } from './processes.ts'
import type { Scope } from './scope.ts'

const mainFile = fileURLToPath(new URL('../embedded/main.ts', import.meta.url))
const stopTimeoutMs = 30_000

/** What the product writes into its data folder for commands that act on what is running. */
const connections = z.object({
  CRM_DATABASE_URL: z.string(),
  CLICKHOUSE_URL: z.string(),
  CLICKHOUSE_USER: z.string(),
  CLICKHOUSE_PASSWORD: z.string(),
})

export type RunningProduct = {
  /** Of its main process. */
  pid: number
  /** The address for browsers. */
  url: string
  /** From the start of the process to its line `ready http…`. */
  readySeconds: number
  connections(): Promise<z.infer<typeof connections>>
  /**
   * Sends SIGINT, as Ctrl-C does.
   * @returns seconds until the process had ended
   * @throws when it, or a process it had started, did not end in time, or when its exit code is not 0
   */
  stop(): Promise<number>
}

/**
 * Starts the product as `npm start` does, on embedded parts and a free port, and waits until it is ready.
 * @throws with what it said when it ended before
 */
export async function startProduct(
  scope: Scope,
  options: { dataPath: string; simulator: boolean; env?: Record<string, string> },
): Promise<RunningProduct> {
  const { dataPath, simulator, env } = options
  const startedAt = performance.now()
  const args = [mainFile, '--port', '0', '--data', dataPath, ...(simulator ? [] : ['--no-simulator'])]
  // A process group of its own: Ctrl-C in the terminal reaches the benchmark alone, which then stops it.
  const child = spawn(process.execPath, args, {
    env: { ...environmentWithoutAddresses(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const stop = stopOnce(child)
  scope.defer(stop)
  const url = await readyAddress(child)
  const readySeconds = (performance.now() - startedAt) / 1000
  return {
    pid: child.pid!,
    url,
    readySeconds,
    connections: async () =>
      connections.parse(parseEnv(await readFile(join(dataPath, 'connections.env'), 'utf8'))),
    stop,
  }
}

/** So that what this shell is attached to is left alone. */
function environmentWithoutAddresses(): NodeJS.ProcessEnv {
  const ownNames = new Set(Object.values(embeddedOptions).map((option) => option.env as string))
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ownNames.has(name)))
}

function readyAddress(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const said: string[] = []
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface(stream).on('line', (line) => {
      said.push(line)
      const [, url] = /^ready (http\S+)/.exec(line) ?? []
      if (url) resolve(url)
    })
  }
  child.once('error', reject)
  child.once('close', (code, signal) =>
    reject(new Error(`The product ended (${signal ?? code}) before it was ready:\n${said.join('\n')}`)),
  )
  return promise
}

/** Whoever asks first gets it stopped; everybody gets the same answer. */
function stopOnce(child: ChildProcess): () => Promise<number> {
  const exited = once(child, 'exit')
  let stopping: Promise<number> | undefined
  async function stop(): Promise<number> {
    if (child.exitCode !== null || child.signalCode !== null) return 0
    const tree = await processTree(child.pid!)
    const startedAt = performance.now()
    child.kill('SIGINT')
    await Promise.race([exited, delay(stopTimeoutMs, undefined, { ref: false })])
    const seconds = (performance.now() - startedAt) / 1000
    const left = await killRemaining(tree)
    if (left.length > 0) throw new Error(`The product left processes behind: ${left.join('; ')}`)
    if (child.exitCode !== 0) throw new Error(`The product stopped with exit code ${child.exitCode}.`)
    return seconds
  }
  return () => {
    stopping ??= stop()
    return stopping
  }
}

/** @returns the command lines of those that still ran */
async function killRemaining(processes: RunningProcess[]): Promise<string[]> {
  const left: string[] = []
  for (const { pid, command } of processes) {
    // A process id may be somebody else's by now.
    const [found] = await processTree(pid)
    if (found?.command !== command || command === '') continue
    process.kill(pid, 'SIGKILL')
    left.push(command)
  }
  return left
}
