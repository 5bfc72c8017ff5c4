import { startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseErrors } from '@tendon/warehouse/errors.ts'
import type { Admin } from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { CdcFeed } from '../feed-supervisor.ts'
import { hammerEntries, hammerTables } from '../suites/hammer.fixture.ts'
import { changeTopic } from './kafka-table.ts'
import { createKafkaWorld, type KafkaWorld, kafkaOf } from './kafka-world.fixture.ts'
import { moreCommits, strikeUnderLoad } from './strike.fixture.ts'

/**
 * Whatever is taken from the chain behind its back, under load: it must not go on behind the gap. One world for all: each
 * gap is struck into what the feed has made of the ones before.
 */
const stack = await startNativeStack(7_000, ['crm', 'kafka', 'connect'])
afterAll(() => stack.remove())

let world: KafkaWorld
let feed: CdcFeed
let problems: Set<string | undefined>
let watching: NodeJS.Timeout

beforeAll(async () => {
  world = await createKafkaWorld(hammerTables, hammerEntries)
}, 120_000)
afterAll(() => world.close(), 60_000)
beforeEach(async () => {
  problems = new Set()
  feed = startFeed()
  await feed.caughtUp()
}, 120_000)
afterEach(() => feed.stop())

/** What a feed drops, it drops by the second try. */
function withFailingDrops(warehouse: Warehouse): Warehouse {
  const failed = new Set<string>()
  return {
    ...warehouse,
    async command(sql, params) {
      if (sql.startsWith('DROP') && !failed.has(sql)) {
        failed.add(sql)
        throw warehouseErrors.unavailable('ClickHouse is busy.')
      }
      return warehouse.command(sql, params)
    },
  }
}

function startFeed(): CdcFeed {
  const started = world.newFeed({ warehouse: withFailingDrops(world.warehouse) })
  started.start()
  clearInterval(watching)
  watching = setInterval(() => problems.add(started.status().problem?.code), 20)
  return started
}

async function withAdmin<Result>(work: (admin: Admin) => Promise<Result>): Promise<Result> {
  const admin = kafkaOf(world).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

async function makeAnew(topic: string): Promise<void> {
  await withAdmin(async (admin) => {
    await admin.deleteTopics({ topics: [topic] })
    const made = async () => {
      await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions: 1 }] })
      return admin.fetchTopicOffsets(topic)
    }
    await expect.poll(() => made().catch(() => []), { timeout: 60_000 }).toHaveLength(1)
  })
}

const slotStatus = async (): Promise<string | undefined> => {
  const { rows } = await world.sql.query(
    `SELECT wal_status FROM pg_replication_slots WHERE slot_name = '${world.slotName}'`,
  )
  return rows[0]?.wal_status
}

test('a topic that was deleted and made anew while no worker ran is noticed', async () => {
  await strikeUnderLoad('topic made anew', world, async (hammer) => {
    await feed.stop()
    // ClickHouse and Debezium go on with it, and it soon is longer than it was: before other tests have made it long.
    await makeAnew(changeTopic(world.config, 'public.journal'))
    await moreCommits(hammer, 500)
    feed = startFeed()
    return feed
  })
}, 240_000)

test.each(['public.journal', 'public.seats'])(
  'the topic of %s, deleted, is made again, and its table read again',
  async (table) => {
    await strikeUnderLoad(`topic of ${table} deleted`, world, async (hammer) => {
      await withAdmin((admin) => admin.deleteTopics({ topics: [changeTopic(world.config, table)] }))
      await expect.poll(() => [...problems], { timeout: 60_000 }).toContain('TENDON-CDC-023')
      await moreCommits(hammer, 100)
      return feed
    })
  },
  240_000,
)

test('a topic that was made anew while no worker ran, and is shorter than it was, does not hold up a connector made again', async () => {
  const topic = changeTopic(world.config, 'public.journal')
  // Sessions that no hammer has.
  const write = (session: number, rows: number) =>
    world.sql.query('INSERT INTO journal SELECT -$1::integer, n FROM generate_series(1, $2::integer) n', [
      session,
      rows,
    ])
  await write(1, 1000)
  await feed.caughtUp()
  await feed.stop()
  await makeAnew(topic)
  await write(2, 3)
  await withAdmin((admin) =>
    expect
      .poll(async () => Number((await admin.fetchTopicOffsets(topic))[0]!.high), { timeout: 60_000 })
      .toBeGreaterThan(0),
  )
  await fetch(`${world.config.kafkaConnectUrl}/connectors/${world.slotName}`, { method: 'DELETE' })
  await write(3, 3)
  feed = startFeed()
  expect(await world.differences(feed)).toEqual([])
}, 240_000)

test.each(['before Kafka Connect', 'after Kafka Connect'])(
  'a slot that was dropped while nothing ran is missed, when the worker starts %s',
  async (order) => {
    await strikeUnderLoad(`slot dropped, worker started ${order}`, world, async (hammer) => {
      await feed.stop()
      await stack.kill('connect')
      await expect
        .poll(
          () =>
            world.sql.query('SELECT pg_drop_replication_slot($1)', [world.slotName]).catch(() => undefined),
          { timeout: 30_000 },
        )
        .toBeDefined()
      await moreCommits(hammer, 200)
      if (order === 'before Kafka Connect') feed = startFeed()
      await stack.up()
      if (order === 'after Kafka Connect') {
        const status = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}/status`
        await expect
          .poll(async () => (await fetch(status)).text(), { timeout: 60_000 })
          .toMatch(/"tasks":\[\{[^}]*"state":"FAILED"[^}]*TENDON-CDC-004/)
        feed = startFeed()
      }
      return feed
    })
  },
  240_000,
)

test('a slot that PostgreSQL gave up, for its limit of WAL, is made anew with a snapshot', async () => {
  await world.sql.query(`ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'`)
  await world.sql.query('SELECT pg_reload_conf()')
  try {
    await strikeUnderLoad('slot over its limit of WAL', world, async () => {
      await stack.kill('connect')
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
      await stack.up()
      return feed
    })
    // Whoever came upon it first: the connector, the feed, or the next one's start.
    await expect.poll(slotStatus).toBe('reserved')
  } finally {
    await world.sql.query('ALTER SYSTEM RESET max_slot_wal_keep_size')
    await world.sql.query('SELECT pg_reload_conf()')
  }
}, 240_000)

test.each(['and others come after', 'and nothing comes after'])(
  'messages that went by their retention before the worker read them, %s',
  async (after) => {
    const topic = changeTopic(world.config, 'public.journal')
    const goesOn = after.includes('others')
    await strikeUnderLoad(`retention was over, ${after}`, world, async (hammer) => {
      await feed.stop()
      await moreCommits(hammer, 200)
      // What would lead its readers on.
      if (!goesOn) await hammer.stop()
      await withAdmin(async (admin) => {
        await expect
          .poll(async () => (await admin.fetchTopicOffsets(topic))[0]!.high !== '0', { timeout: 60_000 })
          .toBe(true)
        await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '-1' }] })
      })
      feed = startFeed()
      return feed
    })
  },
  240_000,
)

test.each(['stopped', 'stopped, and has forgotten what it had read', 'deleted'])(
  'a connector that somebody has %s',
  async (what) => {
    const connector = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}`
    await strikeUnderLoad(`connector ${what}`, world, async (hammer) => {
      if (what !== 'deleted') await feed.stop()
      if (what === 'deleted') await fetch(connector, { method: 'DELETE' })
      else await fetch(`${connector}/stop`, { method: 'PUT' })
      if (what.includes('forgotten')) {
        await expect
          .poll(async () => (await fetch(`${connector}/offsets`, { method: 'DELETE' })).ok, {
            timeout: 60_000,
          })
          .toBe(true)
      }
      await moreCommits(hammer, 100)
      if (what !== 'deleted') feed = startFeed()
      return feed
    })
  },
  240_000,
)

test('a warehouse that was set back to a backup is filled again, though newer changes have come by then', async () => {
  const newest = async () =>
    (await world.rows('SELECT toString(max(version)) AS version FROM cdc.events'))[0]!.version
  await strikeUnderLoad('warehouse set back', world, async (hammer) => {
    const backup = await newest()
    const position = await world.rows('SELECT * FROM cdc.positions FINAL')
    await moreCommits(hammer, 300)
    await feed.caughtUp()
    await feed.stop()
    const last = await newest()
    const between = (version: string) =>
      `${version} > ${backup} AND ${version} <= ${last} SETTINGS mutations_sync = 2`
    for (const table of ['cdc.events', 'cdc.positions'])
      await world.warehouse.command(`ALTER TABLE ${table} DELETE WHERE ${between('version')}`)
    await world.warehouse.insertRows('cdc.positions', position)
    for (const { name } of hammerEntries) {
      const replica = `crm.${name.replace('public.', '')}`
      await world.warehouse.command(`ALTER TABLE ${replica} DELETE WHERE ${between('_version')}`)
    }
    await moreCommits(hammer, 100)
    feed = startFeed()
    return feed
  })
}, 240_000)
