import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ownEnvironment } from './own-environment.ts'

const kills = Number(process.env.TENDON_KILLS ?? 6)
const repository = fileURLToPath(new URL('..', import.meta.url))
let dataPath: string
let running: ChildProcess | undefined

beforeAll(async () => {
  dataPath = await mkdtemp(join(tmpdir(), 'tendon-killed-'))
})
afterAll(async () => {
  if (running) await end(running, 'SIGTERM')
  await rm(dataPath, { recursive: true, force: true })
})

const env = { ...ownEnvironment(), PORT: '0', TENDON_DATA: '', TENDON_DEMO_DAYS: '5', LOG_LEVEL: 'info' }

/** The product as `npm start` runs it, the simulator included. */
function start(...flags: string[]): ChildProcess {
  running = spawn(process.execPath, ['embedded/main.ts', ...flags], {
    cwd: repository,
    env: { ...env, TENDON_DATA: dataPath },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return running
}

async function untilReady(child: ChildProcess): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) if (line.startsWith('ready ')) return
  throw new Error(`ended before it was ready, exit code ${child.exitCode}`)
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

/**
 * Changes rows of the CRM as fast as it can, until the connection ends: PostgreSQL outlives its killed parent for a
 * moment, so that changes go on while nobody follows them.
 * @returns how many transactions were committed
 */
async function hammer(): Promise<number> {
  const settings = parseEnv(await readFile(join(dataPath, 'connections.env'), 'utf8'))
  const client = new pg.Client({ connectionString: settings.CRM_DATABASE_URL })
  client.on('error', () => {})
  let transactions = 0
  try {
    await client.connect()
    for (;;) {
      const email = `hammer-${transactions % 20}@example.org`
      await client.query('BEGIN')
      await client.query('DELETE FROM customers WHERE email = $1', [email])
      await client.query(
        `INSERT INTO customers (id, full_name, email, date_of_birth, address, locale, time_zone)
         SELECT gen_random_uuid(), $2, $1, date_of_birth, address, locale, time_zone FROM customers LIMIT 1`,
        [email, `Hammered ${transactions}`],
      )
      await client.query('UPDATE customers SET phone = $1 WHERE email LIKE $2', [
        String(transactions),
        'hammer-%',
      ])
      await client.query(transactions % 5 === 4 ? 'ROLLBACK' : 'COMMIT')
      transactions += 1
    }
  } catch (error) {
    // The end of the connection is the end of this; anything else is a mistake in the test.
    if (!/terminat|ECONN|EPIPE|not queryable|shutting down|starting up/.test(String(error))) throw error
    return transactions
  } finally {
    await client.end().catch(() => {})
  }
}

/** `npm run cdc -- verify`: every row and value of every replicated table against the source. */
async function verify(): Promise<{ code: number | null; output: string }> {
  const child = spawn(
    process.execPath,
    [`--env-file=${join(dataPath, 'connections.env')}`, 'cdc/cli.ts', 'verify'],
    { cwd: repository, env: ownEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const [code] = await once(child, 'close')
  return { code, output }
}

/** Ends PostgreSQL as a power cut would, which otherwise outlives its parent and is taken over. */
async function killPostgres(): Promise<void> {
  for (const name of ['crm', 'telemetry']) {
    const pidFile = join(dataPath, `${name}-postgres`, 'cluster', 'postmaster.pid')
    process.kill(Number.parseInt(await readFile(pidFile, 'utf8'), 10), 'SIGKILL')
  }
}

test(`killed ${kills} times at random moments, every replicated table still equals its source`, async () => {
  const hammers: Promise<number>[] = []
  await untilReady(start())
  for (let kill = 1; kill <= kills; kill += 1) {
    hammers.push(hammer())
    // A moment of running, and below one of starting up: the delays are the point of this test.
    await delay(Math.random() * 3_000)
    await end(running!, 'SIGKILL')
    if (kill % 3 === 0) await killPostgres()
    start()
    if (kill % 2 === 0) {
      await delay(Math.random() * 2_000)
      await end(running!, 'SIGKILL')
      start()
    }
    await untilReady(running!)
  }
  expect(Math.min(...(await Promise.all(hammers)))).toBeGreaterThan(0)
  await end(running!, 'SIGTERM')
  await untilReady(start('--no-simulator'))
  const { code, output } = await verify()
  expect(output).toMatch(/customers/)
  expect(code, output).toBe(0)
}, 600_000)
