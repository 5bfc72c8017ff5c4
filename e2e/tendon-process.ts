import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ownEnvironment } from './own-environment.ts'

const repository = fileURLToPath(new URL('..', import.meta.url))

export type TendonProcess = {
  child: ChildProcess
  /** Resolves with the first line of its standard output that begins so. */
  said(beginning: string): Promise<string>
  /** How it ended. */
  outcome: Promise<{ code: number | null; stdout: string; stderr: string }>
}

/** The product as `npm start` runs it, with little demo data. */
export function startProcess(options: { env: Record<string, string>; flags?: string[] }): TendonProcess {
  const child = spawn(process.execPath, ['embedded/main.ts', ...(options.flags ?? [])], {
    cwd: repository,
    env: { ...ownEnvironment(), PORT: '0', TENDON_DEMO_DAYS: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout! })
  reader.on('line', (line) => lines.push(line))
  let stderr = ''
  child.stderr!.on('data', (chunk) => {
    stderr += chunk
  })
  const outcome = once(child, 'close').then(([code]) => ({ code, stdout: lines.join('\n'), stderr }))

  async function said(beginning: string): Promise<string> {
    const isIt = (line: string) => line.startsWith(beginning)
    const before = lines.find(isIt)
    if (before !== undefined) return before
    const { promise, resolve } = Promise.withResolvers<string>()
    reader.on('line', (line) => isIt(line) && resolve(line))
    const ended = outcome.then(({ stderr }) => {
      throw new Error(`ended before it said "${beginning}": ${stderr}`)
    })
    return Promise.race([promise, ended])
  }
  return { child, said, outcome }
}

/**
 * Processes whose command line or environment names this folder: what a start has left running. PostgreSQL has it
 * among its arguments, the engine and the bundler inherit it as `TENDON_DATA`.
 */
export async function processesOf(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [command, environment] = await Promise.all([readProc(pid, 'cmdline'), readProc(pid, 'environ')])
      return `${command} ${environment}`.includes(folder) ? [command.replaceAll('\0', ' ')] : []
    }),
  )
  return found.flat()
}

/** Nothing of a process that is gone, or of somebody else's. */
function readProc(pid: string, file: string): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
}
