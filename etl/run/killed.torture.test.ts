import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { type Story, startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import { dayAfter, differingUsers, modelDay } from '../fixtures/statistics-model.fixture.ts'
import { type EtlRun, listRuns } from './run-records.ts'

const kills = Number(process.env.TENDON_KILLS ?? 50)
const world = await startEtlWorld()
const folder = await mkdtemp(join(tmpdir(), 'tendon-etl-killed-'))
const invalidatedPath = join(folder, 'invalidated')
const schedulers = new Set<ChildProcess>()
afterAll(async () => {
  for (const child of schedulers) await kill(child)
  await world.stop()
  await rm(folder, { recursive: true, force: true })
})

const users = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}`)
const chips = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6']
const any = <Item>(items: readonly Item[]): Item => items[Math.floor(Math.random() * items.length)]!

/** A scheduler, from the moment at which it has ended its first run or was refused it. */
async function startScheduler(story: Story): Promise<ChildProcess> {
  const { url, username, password } = world.clickHouse
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('../fixtures/looping-etl.fixture.ts', import.meta.url)),
      ...[story.telemetryUrl, JSON.stringify({ url, username, password }), invalidatedPath],
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  schedulers.add(child)
  const lines = createInterface({ input: child.stdout! })
  await once(lines, 'line')
  return child
}

/** The scheduler whose run is entered, as soon as there is one: the other has found the lock taken. */
async function holderOfRun(): Promise<ChildProcess> {
  for (;;) {
    // The engine is killed now and then.
    const [run] = await listRuns(world.warehouse, 1).catch(() => [])
    const pid = run?.state === 'running' ? Number(run.holder.split('/').at(-1)) : undefined
    for (const child of schedulers) if (child.pid === pid) return child
    await delay(20)
  }
}

const hasDied = ({ error }: EtlRun): boolean => error.startsWith('The run died')

/** Of the newest runs that succeeded. */
function medianLengthMs(runs: EtlRun[]): number | undefined {
  const lengths = runs
    .filter(({ state }) => state === 'succeeded')
    .slice(0, 15)
    .map(({ started_at, finished_at }) => Date.parse(finished_at!) - Date.parse(started_at))
    .sort((a, b) => a - b)
  return lengths[Math.floor(lengths.length / 2)]
}

async function kill(child: ChildProcess): Promise<void> {
  schedulers.delete(child)
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** Does it on a connection of its own: the server is killed now and then. */
async function onTelemetry<Result>(
  story: Story,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: story.telemetryUrl })
  client.on('error', () => {})
  for (;;) {
    try {
      await client.connect()
      break
    } catch {
      await delay(50)
      return onTelemetry(story, work)
    }
  }
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** The story knows what it was told: what the engine did not take, as it was being killed, it is told again. */
async function insist(work: () => Promise<void>): Promise<void> {
  while (
    !(await work().then(
      () => true,
      () => false,
    ))
  )
    await delay(50)
}

/** Something happens at the sources, or to a server. */
async function happen(story: Story): Promise<void> {
  const at = () =>
    new Date(Date.parse(dayAfter('2026-03-01', Math.floor(Math.random() * 12))) + Math.random() * 8.64e7)
  const rows = Array.from({ length: 200 }, () => ({
    // Some are nobody's, and some make no sense.
    chip_id: Math.random() < 0.02 ? any(['stray', null]) : any(chips),
    recorded_at: at(),
    response_time_ms: Math.random() * 300,
    battery_percent: Math.floor(Math.random() * 103),
    error_code: Math.random() < 0.1 ? 'E1' : null,
    movement_count: 3,
    active_ms: 1000,
  }))
  await onTelemetry(story, async (client) => {
    await client.query('BEGIN')
    await story.send(rows, client)
    if (Math.random() < 0.3)
      await client.query('DELETE FROM telemetry_events WHERE id % 17 = $1', [any([0, 1, 2, 3])])
    if (Math.random() < 0.3)
      await client.query("UPDATE telemetry_events SET error_code = 'E2' WHERE id % 19 = 3")
    await client.query('COMMIT')
  }).catch(() => {})
  const prosthesis = any([...story.prostheses.values()])
  if (Math.random() < 0.5) {
    const customer_id = any(users)
    await insist(() => story.change(prosthesis.id, { customer_id }))
  }
  if (Math.random() < 0.2) {
    const [user, zone] = [any(users), any(['UTC', 'Asia/Tokyo', 'America/New_York'])]
    await insist(() => story.live(user, zone))
  }
}

/** PostgreSQL restarts all of itself when a backend is killed; the engine's server starts it anew. */
async function killServers(story: Story): Promise<void> {
  await onTelemetry(story, async (client) => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    process.kill(rows[0]!.pid, 'SIGKILL')
    await client.query('SELECT 1').catch(() => {})
  })
  process.kill(world.clickHouse.pid()!, 'SIGKILL')
}

test(`after ${kills} runs died by kill -9, of two schedulers that fight and of both servers, the statistics are what the rows say`, async () => {
  const story = await world.freshStory()
  story.client.on('error', () => {})
  for (const [i, chip_id] of chips.entries()) {
    await story.issue({ chip_id, customer_id: users[i % users.length]!, issued_at: '2026-03-01' })
  }
  await happen(story)
  const before = await story.stats()
  // A run that had just ended did not die; that one has is written by the next.
  for (let i = 0, died = 0, lengthMs = 200; died < kills; i++) {
    const missing = Array.from({ length: 2 - schedulers.size }, () => startScheduler(story))
    await Promise.all([...missing, happen(story)])
    if (i % 10 === 7) await killServers(story)
    const holder = await holderOfRun()
    // The moment is what is drawn by lot, somewhere in the run.
    await delay(Math.random() * lengthMs)
    await kill(holder)
    const runs = await listRuns(world.warehouse, 10_000).catch(() => [])
    died = Math.max(died, runs.filter(hasDied).length)
    lengthMs = medianLengthMs(runs) ?? lengthMs
  }
  for (const child of schedulers) await kill(child)
  await onTelemetry(story, () => Promise.resolve())
  await expect
    .poll(() => story.createEtl().runOnce(), { timeout: 60_000 })
    .toMatchObject({ state: 'succeeded' })

  const after = await story.stats()
  await onTelemetry(story, async (client) => {
    expect(after).toEqual(await story.expectedStats(client))
    expect(await story.quarantine()).toEqual(await story.expectedQuarantine(client))
    expect(await story.unowned()).toEqual(await story.expectedUnowned(client))
  })
  expect(await story.modelDays()).toEqual([...after.values()].map(modelDay).sort())
  expect(await story.createEtl().runOnce()).toMatchObject({ rows_written: 0, rows_deleted: 0 })
  const invalidated = new Set((await readFile(invalidatedPath, 'utf8')).split('\n').concat(story.invalidated))
  expect([...invalidated]).toEqual(expect.arrayContaining(differingUsers(before, after)))
  const runs = await listRuns(world.warehouse, 10_000)
  expect(runs.filter(({ state }) => state === 'running')).toEqual([])
}, 1_800_000)
