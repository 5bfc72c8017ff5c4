import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { BenchContext } from './bench-case.ts'

/** What one process did and what it cost, as it says itself in its last line. */
const processReport = z.object({
  rows: z.number(),
  seconds: z.number(),
  cpu_seconds: z.number(),
  max_rss_mb: z.number(),
})
export type ProcessReport = z.infer<typeof processReport> & { wallSeconds: number }

const folder = fileURLToPath(new URL('./peers/', import.meta.url))
/** Outside of the checkout: half a gigabyte that every clone shares. */
const environment = process.env.TENDON_BENCH_PEERS ?? join(homedir(), '.cache', 'tendon-bench', 'peers')

/** Installs the Python peers, as requirements.txt pins them, the first time. */
export async function installPeers({ say }: BenchContext): Promise<void> {
  const marker = join(environment, 'bin', 'python')
  if (!existsSync(marker)) {
    say(`installing the peers into ${environment}`)
    await finished(spawn('python3', ['-m', 'venv', environment]))
  }
  await finished(
    spawn(join(environment, 'bin', 'pip'), ['install', '-q', '-r', join(folder, 'requirements.txt')]),
  )
}

export function runPython(script: string, env: Record<string, string>): Promise<ProcessReport> {
  return runReporting(join(environment, 'bin', 'python'), [join(folder, script)], env)
}

/** The job in a process of its own. */
export function runJob(env: Record<string, string>): Promise<ProcessReport> {
  // As `npm run etl` does.
  const args = ['--max-semi-space-size=4', fileURLToPath(new URL('./etl-run-once.ts', import.meta.url))]
  return runReporting(process.execPath, args, env)
}

async function runReporting(
  command: string,
  args: string[],
  env: Record<string, string>,
): Promise<ProcessReport> {
  const startedAt = performance.now()
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, complaint] = await Promise.all([
    child.stdout.toArray(),
    child.stderr.toArray(),
    finished(child),
  ])
  const lines = Buffer.concat(output).toString().trim().split('\n')
  const report = processReport.safeParse(JSON.parse(lines.at(-1) || 'null'))
  if (!report.success)
    throw new Error(`${args[0]} failed: ${Buffer.concat(complaint).toString().slice(-2000)}`)
  return { ...report.data, wallSeconds: (performance.now() - startedAt) / 1000 }
}

function finished(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve())
  })
}
