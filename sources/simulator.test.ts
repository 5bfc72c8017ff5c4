import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '@tendon/platform/log.ts'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { demoPeople } from './demo-people.ts'
import { readDevicesInUse } from './devices-in-use.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'
import { loadDemoData } from './load-demo-data.ts'
import { createRandom } from './random.ts'
import { changeCrm } from './simulated-crm-changes.ts'
import { createSimulator, type Simulator } from './simulator.ts'

const log = createLog({ service: 'sources-test', level: 'fatal' })
const now = new Date('2026-03-01T17:45:00Z')

let dataPath: string
let server: EmbeddedPostgres
let crmUrl: string
let telemetryUrl: string
let simulator: Simulator | undefined

beforeAll(async () => {
  dataPath = await mkdtemp(join(tmpdir(), 'tendon-simulator-'))
  server = await startEmbeddedPostgres({ dataPath, settings: { fsync: 'off' } })
  for (const name of ['crm', 'telemetry']) await server.createDatabase(name)
  crmUrl = server.url('crm')
  telemetryUrl = server.url('telemetry')
  const volume = { customers: 20, prostheses: 26, days: 3 }
  await loadDemoData({ crmUrl, telemetryUrl, today: now, volume, log })
})

afterEach(async () => {
  await simulator?.stop()
  simulator = undefined
  // The server takes a moment to see that a client has left.
  await expect.poll(countBackends, { timeout: 10_000 }).toBe(0)
})

afterAll(async () => {
  await server.stop()
  await rm(dataPath, { recursive: true, force: true })
})

async function withClient<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

async function rows(url: string, sql: string, values: unknown[] = []): Promise<pg.QueryResultRow[]> {
  return withClient(url, async (client) => (await client.query(sql, values)).rows)
}

const demoIds = Object.values(demoPeople).map(({ customerId }) => customerId)

function readDemoRows() {
  return rows(
    crmUrl,
    `SELECT customers.*, prostheses.* FROM customers JOIN prostheses ON customer_id = customers.id
     WHERE customers.id = ANY($1) ORDER BY chip_id`,
    [demoIds],
  )
}

function startSimulator() {
  simulator = createSimulator({
    crmUrl,
    telemetryUrl,
    log,
    seed: 7,
    telemetryIntervalMs: 20,
    crmIntervalMs: 20,
    now: () => now,
  })
  simulator.start()
  return simulator
}

async function countEvents(): Promise<number> {
  const [found] = await rows(telemetryUrl, 'SELECT count(*)::int FROM telemetry_events')
  return found!.count
}

function readBackends() {
  return rows(crmUrl, `SELECT pid FROM pg_stat_activity WHERE application_name = 'tendon-simulator'`)
}

async function countBackends(): Promise<number> {
  return (await readBackends()).length
}

describe('changeCrm', () => {
  test('makes every kind of change, never to alice or bob, and deletes only what it made', async () => {
    const demoRows = await readDemoRows()
    const customersBefore = await rows(crmUrl, 'SELECT id FROM customers')
    const changes = await withClient(crmUrl, async (client) => {
      const random = createRandom(3)
      const names = new Set<string>()
      for (let day = 0; day < 6; day++) {
        const instant = new Date(now.getTime() + day * 86_400_000)
        for (let index = 0; index < 60; index++) {
          const devices = await readDevicesInUse(client, instant)
          names.add(await changeCrm(client, { random, now: instant, devices }))
        }
      }
      return names
    })
    expect([...changes].sort()).toEqual([
      'address changed',
      'customer added',
      'customer deleted',
      'device reissued',
      'firmware updated',
      'prosthesis returned',
      'settings tuned',
    ])
    expect(await readDemoRows()).toEqual(demoRows)
    const customersAfter = new Set((await rows(crmUrl, 'SELECT id FROM customers')).map(({ id }) => id))
    expect(customersBefore.filter(({ id }) => !customersAfter.has(id))).toEqual([])
    const reissued = await rows(
      crmUrl,
      `SELECT FROM prostheses GROUP BY chip_id HAVING count(*) > 1 AND max(issued_at) > '2026-03-01'`,
    )
    expect(reissued.length).toBeGreaterThan(0)
  })
})

describe('createSimulator', () => {
  test('moves the numbers of today for alice and bob, and has partitions ready for tomorrow', async () => {
    const countToday = async () => {
      const chips = await rows(crmUrl, 'SELECT chip_id FROM prostheses WHERE customer_id = ANY($1)', [
        demoIds,
      ])
      return rows(
        telemetryUrl,
        `SELECT chip_id, count(*)::int, sum(movement_count)::int AS movements FROM telemetry_events
         WHERE recorded_at >= '2026-03-01' AND chip_id = ANY($1) GROUP BY chip_id ORDER BY chip_id`,
        [chips.map(({ chip_id }) => chip_id)],
      )
    }
    const before = await countToday()
    expect(before).toHaveLength(3)
    startSimulator()
    await expect
      .poll(async () => (await countToday()).every(({ count }, index) => count > before[index]!.count), {
        timeout: 10_000,
      })
      .toBe(true)
    const [tomorrow] = await rows(
      telemetryUrl,
      `SELECT to_regclass('telemetry_events_20260302_20260308')::text AS name`,
    )
    expect(tomorrow).toEqual({ name: 'telemetry_events_20260302_20260308' })
    const strays = await rows(telemetryUrl, 'SELECT FROM telemetry_events_default')
    expect(strays).toEqual([])
  })

  test('goes on after the databases were restarted', async () => {
    startSimulator()
    await expect.poll(countBackends, { timeout: 10_000 }).toBe(2)
    await server.stop()
    server = await startEmbeddedPostgres({ dataPath, port: server.port, settings: { fsync: 'off' } })
    const before = await countEvents()
    await expect.poll(countEvents, { timeout: 10_000 }).toBeGreaterThan(before)
  })

  test('stops within a second, also when the database no longer answers', async () => {
    const running = startSimulator()
    await expect.poll(countBackends, { timeout: 10_000 }).toBe(2)
    const frozen = await readBackends()
    for (const { pid } of frozen) process.kill(pid, 'SIGSTOP')
    const startedMs = performance.now()
    try {
      await running.stop()
    } finally {
      for (const { pid } of frozen) process.kill(pid, 'SIGCONT')
    }
    expect(performance.now() - startedMs).toBeLessThan(1_000)
    await expect.poll(countBackends, { timeout: 10_000 }).toBe(0)

    const restarted = startSimulator()
    await expect.poll(countBackends, { timeout: 10_000 }).toBe(2)
    await restarted.stop()
    await expect.poll(countBackends, { timeout: 10_000 }).toBe(0)
  })
})
