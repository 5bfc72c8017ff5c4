import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const repository = fileURLToPath(new URL('..', import.meta.url))
let parent: string

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tendon-start-'))
})
afterAll(() => rm(parent, { recursive: true, force: true }))

/** The product as `npm start` runs it, with little demo data. */
function start(options: { env?: Record<string, string>; flags?: string[] }): ChildProcess {
  return spawn(process.execPath, ['embedded/main.ts', ...(options.flags ?? [])], {
    cwd: repository,
    env: { ...process.env, PORT: '0', TENDON_DEMO_DAYS: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function outcome(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = ''
  child.stderr!.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdout!.resume()
  const [code] = await once(child, 'close')
  return { code, stderr }
}

/** Processes whose command line names this folder: what a start has left running. */
async function processesOf(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  )
  return commands.filter((command) => command.includes(folder))
}

test('everything wrong with the options is said at once, and nothing is started', async () => {
  const data = join(parent, 'never')
  const env = { TENDON_DATA: data, CLICKHOUSE_URL: 'nowhere', S3_ENDPOINT: 'http://127.0.0.1:9' }
  const { code, stderr } = await outcome(start({ env, flags: ['--colour'] }))
  expect(code).toBe(64)
  expect(stderr).toContain('CLICKHOUSE_URL')
  expect(stderr).toContain('--colour')
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(existsSync(data)).toBe(false)
})

test('a taken port is said in a sentence, and nothing is left running', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  const data = join(parent, 'port')
  const { code, stderr } = await outcome(start({ env: { TENDON_DATA: data, PORT: String(port) } }))
  taken.close()
  expect(code).toBe(1)
  expect(stderr).toContain(`Port ${port}`)
  expect(stderr).toContain('TENDON-PLATFORM-004')
  expect(await processesOf(data)).toEqual([])
})

test('a folder in use is refused at once; SIGINT stops the one that holds it within ten seconds', async () => {
  const data = join(parent, 'held')
  const first = start({ env: { TENDON_DATA: data }, flags: ['--no-simulator'] })
  for await (const line of createInterface({ input: first.stdout! })) if (line.startsWith('ready ')) break

  const second = await outcome(start({ env: { TENDON_DATA: data } }))
  expect(second.code).toBe(1)
  expect(second.stderr).toContain('TENDON-EMBEDDED-001')

  const stoppedAt = performance.now()
  first.kill('SIGINT')
  expect((await outcome(first)).code).toBe(0)
  expect(performance.now() - stoppedAt).toBeLessThan(10_000)
  expect(await processesOf(data)).toEqual([])
})
