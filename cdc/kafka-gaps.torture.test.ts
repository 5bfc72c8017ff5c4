import { startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import type { CdcFeed } from './feed-supervisor.ts'
import { hammerEntries, hammerTables, startHammer } from './hammer.fixture.ts'
import { changeTopic } from './kafka-table.ts'
import { createKafkaWorld, type KafkaWorld, kafkaOf } from './kafka-world.fixture.ts'

/** Whatever is taken from the chain behind its back: it must not go on behind the gap. */
const stack = await startNativeStack(7_000, ['crm', 'kafka', 'connect'])
afterAll(() => stack.remove())

let world: KafkaWorld
let feed: CdcFeed
let problems: Set<string | undefined>
let watching: NodeJS.Timeout

beforeEach(async () => {
  world = await createKafkaWorld(hammerTables, hammerEntries)
  problems = new Set()
  feed = startFeed()
  await hammerFor(200)
  await feed.caughtUp()
}, 120_000)
afterEach(() => world.close(), 60_000)

function startFeed(): CdcFeed {
  const started = world.newFeed()
  started.start()
  clearInterval(watching)
  watching = setInterval(() => problems.add(started.status().problem?.code), 20)
  return started
}

async function hammerFor(commits: number): Promise<void> {
  const hammer = startHammer(world.url, { pauseMs: 50 })
  await expect.poll(() => hammer.commits(), { timeout: 60_000 }).toBeGreaterThan(commits)
  await hammer.stop()
}

const slotStatus = async (): Promise<string | undefined> => {
  const { rows } = await world.sql.query(
    `SELECT wal_status FROM pg_replication_slots WHERE slot_name = '${world.slotName}'`,
  )
  return rows[0]?.wal_status
}

test('a topic that is deleted is made again, and its table read again', async () => {
  const hammer = startHammer(world.url, { pauseMs: 50 })
  const admin = kafkaOf(world).admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [changeTopic(world.config, 'public.journal')] })
  await expect.poll(() => hammer.commits(), { timeout: 60_000 }).toBeGreaterThan(300)
  await hammer.stop()
  expect(await world.differences(feed)).toEqual([])
  await admin.disconnect()
}, 240_000)

test('a topic that was deleted and made anew while no worker ran is noticed', async () => {
  await feed.stop()
  const admin = kafkaOf(world).admin()
  await admin.connect()
  const topic = changeTopic(world.config, 'public.journal')
  await admin.deleteTopics({ topics: [topic] })
  // ClickHouse and Debezium go on with it, and it soon is longer than it was.
  const made = async () => {
    await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: 1 }] })
    return admin.fetchTopicOffsets(topic)
  }
  await expect.poll(() => made().catch(() => []), { timeout: 20_000 }).toHaveLength(1)
  await hammerFor(500)
  feed = startFeed()
  expect(await world.differences(feed)).toEqual([])
  await admin.disconnect()
}, 240_000)

test.each(['before Kafka Connect', 'after Kafka Connect'])(
  'a slot that was dropped while nothing ran is missed, when the worker starts %s',
  async (order) => {
    await feed.stop()
    await stack.kill('connect')
    await expect
      .poll(
        () => world.sql.query('SELECT pg_drop_replication_slot($1)', [world.slotName]).catch(() => undefined),
        {
          timeout: 30_000,
        },
      )
      .toBeDefined()
    await hammerFor(200)
    if (order === 'before Kafka Connect') feed = startFeed()
    await stack.up()
    if (order === 'after Kafka Connect') {
      const status = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}/status`
      await expect
        .poll(async () => (await fetch(status)).text(), { timeout: 60_000 })
        .toMatch(/"tasks":\[\{[^}]*"state":"FAILED"[^}]*TENDON-CDC-004/)
      feed = startFeed()
    }
    await hammerFor(100)
    expect(await world.differences(feed)).toEqual([])
  },
  240_000,
)

test('a slot that PostgreSQL gave up, for its limit of WAL, is made anew with a snapshot', async () => {
  await world.sql.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'`)
  await world.sql.query('SELECT pg_reload_conf()')
  await stack.kill('connect')
  try {
    await hammerFor(100)
    await expect
      .poll(
        async () => {
          await world.sql.query(`SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))`)
          await world.sql.query('SELECT pg_switch_wal()')
          await world.sql.query('CHECKPOINT')
          return slotStatus()
        },
        { timeout: 60_000, interval: 10 },
      )
      .toBe('lost')
    await hammerFor(100)
    await stack.up()
    expect(await world.differences(feed)).toEqual([])
    expect(problems).toContain('TENDON-CDC-004')
  } finally {
    await world.sql.query('ALTER SYSTEM RESET max_slot_wal_keep_size')
    await world.sql.query('SELECT pg_reload_conf()')
  }
}, 240_000)

test('messages that went by their retention before the worker read them', async () => {
  await feed.stop()
  await hammerFor(200)
  const admin = kafkaOf(world).admin()
  await admin.connect()
  const topic = changeTopic(world.config, 'public.journal')
  await expect
    .poll(async () => (await admin.fetchTopicOffsets(topic))[0]!.high !== '0', { timeout: 20_000 })
    .toBe(true)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '-1' }] })
  // Nothing comes into the topic any more that would lead its readers on.
  feed = startFeed()
  expect(await world.differences(feed)).toEqual([])
  await admin.disconnect()
}, 240_000)

test.each(['stopped', 'stopped, and has forgotten what it had read', 'deleted'])(
  'a connector that somebody has %s',
  async (what) => {
    const connector = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}`
    if (what !== 'deleted') await feed.stop()
    if (what === 'deleted') await fetch(connector, { method: 'DELETE' })
    else await fetch(`${connector}/stop`, { method: 'PUT' })
    if (what.includes('forgotten')) {
      await expect
        .poll(async () => (await fetch(`${connector}/offsets`, { method: 'DELETE' })).ok, { timeout: 20_000 })
        .toBe(true)
    }
    await hammerFor(100)
    if (what !== 'deleted') feed = startFeed()
    expect(await world.differences(feed)).toEqual([])
  },
  240_000,
)

test('a warehouse that was set back to a backup is filled again', async () => {
  const [backup] = await world.rows('SELECT toString(max(version)) AS version FROM cdc.events')
  await hammerFor(300)
  await feed.caughtUp()
  await feed.stop()
  const sync = 'SETTINGS mutations_sync = 2'
  for (const table of ['cdc.events', 'cdc.positions']) {
    await world.warehouse.command(`ALTER TABLE ${table} DELETE WHERE version > ${backup!.version} ${sync}`)
  }
  for (const { name } of hammerEntries) {
    const replica = `crm.${name.replace('public.', '')}`
    await world.warehouse.command(`ALTER TABLE ${replica} DELETE WHERE _version > ${backup!.version} ${sync}`)
  }
  feed = startFeed()
  expect(await world.differences(feed)).toEqual([])
}, 240_000)
