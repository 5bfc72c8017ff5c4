import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const kills = Number(process.env.TENDON_KILLS ?? 10)
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

const env = { ...process.env, PORT: '0', TENDON_DATA: '', TENDON_DEMO_DAYS: '5', LOG_LEVEL: 'info' }

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

/** `npm run cdc -- verify`: every row and value of every replicated table against the source. */
async function verify(): Promise<{ code: number | null; output: string }> {
  const child = spawn(
    process.execPath,
    [`--env-file=${join(dataPath, 'connections.env')}`, 'cdc/cli.ts', 'verify'],
    { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const [code] = await once(child, 'close')
  return { code, output }
}

test(`killed ${kills} times at random moments, every replicated table still equals its source`, async () => {
  await untilReady(start())
  for (let kill = 0; kill < kills; kill += 1) {
    // A moment of running, of starting up again, or of the snapshot: the delay is the point of this test.
    await delay(Math.random() * 3_000)
    await end(running!, 'SIGKILL')
    const child = start()
    if (kill % 2 === 1) await untilReady(child)
  }
  await end(running!, 'SIGKILL')
  await untilReady(start('--no-simulator'))
  const { code, output } = await verify()
  expect(output).toMatch(/customers/)
  expect(code, output).toBe(0)
}, 600_000)
