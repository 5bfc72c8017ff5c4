import { setTimeout as delay } from 'node:timers/promises'
import { cutConnectionsTo, startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, type ServiceProcess, startService } from '../cdc-process.fixture.ts'
import type { CdcFeed } from '../feed-supervisor.ts'
import { registry } from '../registry.ts'
import { hammerEntries, hammerTables } from '../suites/hammer.fixture.ts'
import { crmSchema, reportsInSource, startClinic } from '../telling/patients.fixture.ts'
import { startToldReports } from '../telling/told-reports.fixture.ts'
import { createKafkaWorld, type KafkaWorld } from './kafka-world.fixture.ts'
import { seconds, strikeUnderLoad } from './strike.fixture.ts'

/** How often each fault strikes; the load goes on meanwhile. */
const strikes = Number(process.env.TENDON_STRIKES ?? 1)

const stack = await startNativeStack(3_000, ['crm', 'kafka', 'connect'])
afterAll(() => stack.remove())

let world: KafkaWorld
let feed: CdcFeed
beforeAll(async () => {
  world = await createKafkaWorld(hammerTables, hammerEntries)
  feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
}, 180_000)
afterAll(() => world.close())

const restarted = (part: 'crm' | 'kafka' | 'connect') => async () => {
  await stack.kill(part)
  await stack.up()
  if (part === 'crm') await world.reconnect()
}

const faults: Record<string, () => Promise<void>> = {
  'kill -9 of Kafka Connect': restarted('connect'),
  'kill -9 of the broker': restarted('kafka'),
  'kill -9 of ClickHouse': async () => {
    process.kill(world.clickHouse.pid()!, 'SIGKILL')
  },
  'kill -9 of PostgreSQL': restarted('crm'),
  'all connections to PostgreSQL cut': async () => {
    await stack.cutConnections('crm')
    await world.reconnect()
  },
  'all connections to the broker cut': () => stack.cutConnections('kafka'),
  'all connections to Kafka Connect cut': () => stack.cutConnections('connect'),
  'all connections to ClickHouse cut': () => cutConnectionsTo(Number(new URL(world.clickHouse.url).port)),
}

test.each(Object.entries(faults))(
  '%s under load: nothing is lost, every replica equals its source',
  async (name, strike) => {
    for (let nth = 0; nth < strikes; nth++) {
      await strikeUnderLoad(name, world, async () => {
        await strike()
        return feed
      })
    }
    expect(await world.rows('SELECT topic, reason FROM cdc.dead_letters')).toEqual([])
  },
  240_000 * strikes,
)

test(
  'kill -9 of the worker at random moments under load: every replica equals its source, and everybody concerned is told',
  async () => {
    const world = await createKafkaWorld(crmSchema, [...registry])
    const told = await startToldReports(world.warehouse)
    const settings = { ...world.settings, ...told.settings }
    const clinic = startClinic(world.url)
    let worker: ServiceProcess | undefined
    const moments = [
      // Mostly before it has joined the group.
      () => delay(Math.random() * 3_000),
      // While it waits for the answer of whom it tells.
      () => told.loseCalls(),
      async () => {
        const before = told.calls()
        await expect.poll(told.calls, { timeout: 60_000 }).toBeGreaterThan(before)
        await delay(Math.random() * 3_000)
      },
    ]
    try {
      const kills = 9 * strikes
      for (let nth = 0; nth < kills; nth++) {
        worker = startService(settings)
        await moments[nth % moments.length]!()
        await worker.kill()
        told.answerCalls()
      }
      worker = startService(settings)
      await clinic.stop()
      const stoppedAt = performance.now()
      const verified = await runCli(settings, 'verify', '--timeout-ms', '90000')
      expect(verified).toMatchObject({ code: 0 })
      process.stdout.write(
        `kill -9 of the worker, ${kills} times: ${clinic.commits()} transactions, told in ${told.calls()} calls, ` +
          `verified ${seconds(performance.now() - stoppedAt)} after the last one\n`,
      )
      // Who had left before the feed began is nobody's concern.
      const known = await world.rows(
        `SELECT DISTINCT JSONExtractString(key, 'id') AS id FROM cdc.events WHERE table = 'public.customers'`,
      )
      const expected = await reportsInSource(
        world.sql,
        known.map(({ id }) => String(id)),
      )
      expect(expected.size).toBeGreaterThan(500)
      expect(told.reports()).toEqual(expected)
      expect(await world.rows('SELECT topic, reason FROM cdc.dead_letters')).toEqual([])
      expect(await worker.stop()).toBe(0)
    } finally {
      await clinic.stop().catch(() => {})
      await worker?.kill().catch(() => {})
      await told.stop()
      await world.close()
    }
  },
  300_000 * strikes,
)
