import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import { CompressionTypes } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import type { CdcFeed } from '../feed-supervisor.ts'
import type { RegistryEntry } from '../registry.ts'
import { hammerEntries, hammerTables } from '../suites/hammer.fixture.ts'
import { changeTopic } from './kafka-table.ts'
import { createKafkaWorld, type KafkaWorld, kafkaOf } from './kafka-world.fixture.ts'
import { moreCommits, strikeUnderLoad } from './strike.fixture.ts'

const stack = await startNativeStack(4_000, ['crm', 'kafka', 'connect'])
afterAll(() => stack.remove())

/** A world and its feed for the tests of one group. */
function sharedWorld(ddl: string, entries: RegistryEntry[]) {
  const shared = {} as { world: KafkaWorld; feed: CdcFeed }
  beforeAll(async () => {
    shared.world = await createKafkaWorld(ddl, entries)
    shared.feed = shared.world.newFeed()
    shared.feed.start()
    await shared.feed.caughtUp()
  }, 120_000)
  afterAll(() => shared.world.close(), 60_000)
  return shared
}

async function send(
  world: KafkaWorld,
  topic: string,
  key: string | null,
  value: string,
  compression = CompressionTypes.None,
): Promise<void> {
  const producer = kafkaOf(world).producer()
  await producer.connect()
  await producer.send({ topic, compression, messages: [{ key, value }] })
  await producer.disconnect()
}

describe('under load', () => {
  const shared = sharedWorld(hammerTables, hammerEntries)

  test('messages that are no changes are kept whole, and the stream goes on', async () => {
    const { world, feed } = shared
    const topic = changeTopic(world.config, 'public.journal')
    const poison = [
      '{"id": 1, "body": ',
      'not JSON at all',
      '{"id":1,"body":"no change event"}',
      '42',
      '[{"__op":"c"}]',
      '{"id":7,"__op":"c","__source_table":"journal","__source_schema":"public"}',
      `{"id":123456789012345678901234567890,"__op":"x","quote":"\\"'\\\\"}`,
    ]
    // With a key they look like changes, but nobody can tell their place.
    const change = '{"session":8,"number":1,"__op":"c","__source_table":"journal","__source_schema":"public"'
    const keyed = [
      `${change}}`,
      `${change},"__source_sequence":"[x","__history":"1/0"}`,
      `${change},"__source_sequence":"[null,\\"7\\"]","__history":"y"}`,
      `${change},"__source_sequence":"[\\"99999999999999999999999\\",\\"7\\"]","__history":"1/0"}`,
    ]
    await strikeUnderLoad('poison messages', world, async () => {
      // Whoever writes into a topic chooses how.
      const compressions = [CompressionTypes.None, CompressionTypes.GZIP]
      for (const [n, value] of poison.entries()) await send(world, topic, null, value, compressions[n % 2])
      for (const value of keyed) await send(world, topic, '{"session":8,"number":1}', value)
      await send(
        world,
        topic,
        '{"session":',
        `${change},"__source_sequence":"[null,\\"7\\"]","__history":"1/0"}`,
      )
      return feed
    })
    const letters = await world.rows(
      `SELECT topic, partition, message, reason != '' AS has_reason FROM cdc.dead_letters FINAL ORDER BY offset`,
    )
    expect(letters).toEqual(
      [...poison, ...keyed, expect.stringContaining(change)].map((message) => ({
        topic,
        partition: 0,
        message,
        has_reason: expect.toBeOneOf([1, true]),
      })),
    )
  }, 120_000)

  test('partitions that a topic is given later are read, and it is said that they were made', async () => {
    const { world, feed } = shared
    const admin = kafkaOf(world).admin()
    await admin.connect()
    const topic = changeTopic(world.config, 'public.journal')
    const problems = new Set<string | undefined>()
    const watching = setInterval(() => problems.add(feed.status().problem?.code), 20)
    await strikeUnderLoad('partitions raised', world, async (hammer) => {
      await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
      // The connector's producer learns of them when it starts.
      const connector = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}`
      await fetch(`${connector}/restart?includeTasks=true`, { method: 'POST' })
      await moreCommits(hammer, 300)
      return feed
    })
    clearInterval(watching)
    expect(problems).toContain('TENDON-CDC-022')
    const [row] = await world.rows(
      `SELECT uniqExact(partition) AS n FROM cdc.events WHERE topic = '${topic}'`,
    )
    expect(Number(row!.n)).toBe(4)
    await feed.ready()
    await admin.disconnect()
  }, 240_000)
})

const alike = ['ключ', 'поле']

describe('where names are alike', () => {
  const shared = sharedWorld(
    alike.map((name) => `CREATE TABLE "${name}" (id integer PRIMARY KEY, v text)`).join(';'),
    alike.map((name) => ({ name: `public.${name}`, users: nobody })),
  )

  test('tables whose names a topic cannot tell apart share one', async () => {
    const { world, feed } = shared
    for (const name of alike) await world.sql.query(`INSERT INTO "${name}" VALUES (1, $1)`, [name])
    expect(await world.differences(feed)).toEqual([])
  }, 120_000)

  test('the tables that pgbench makes UNLOGGED are refused with a code, and the others go on', async () => {
    const { world, feed } = shared
    const pgbench = ['--initialize', '--scale=1', '--quiet', '--unlogged-tables', world.url]
    await promisify(execFile)('pgbench', pgbench)
    expect(await runCli(world.settings, 'add', 'pgbench_accounts')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('TENDON-CDC-029'),
    })
    await world.sql.query('INSERT INTO "ключ" VALUES (2)')
    expect(await world.differences(feed)).toEqual([])
  }, 120_000)
})

test('rows that move between partitions keep the values that their changes do not send', async () => {
  const world = await createKafkaWorld(
    `CREATE TABLE papers (id integer PRIMARY KEY, title text, body text);
     ALTER TABLE papers ALTER body SET STORAGE EXTERNAL;
     INSERT INTO papers SELECT n, 'before', repeat('long ' || n, 1000) FROM generate_series(1, 300) n`,
    [{ name: 'public.papers', users: nobody }],
    { topicPartitions: 4 },
  )
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  for (let turn = 0; turn < 5; turn++) {
    await world.sql.query('UPDATE papers SET id = id + 1000')
    await world.sql.query(`UPDATE papers SET title = 'turn ' || $1 WHERE id % 3 = 0`, [turn])
  }
  expect(await world.differences(feed)).toEqual([])
  const [row] = await world.rows(
    'SELECT uniqExact(partition) AS partitions FROM cdc.events WHERE partition >= 0',
  )
  expect(Number(row!.partitions)).toBe(4)
  await world.close()
}, 120_000)

/**
 * What `pgbench --initialize` can be told about the shape of its tables, and which it concerns (partitions by range are as those
 * by hash).
 */
const pgbenchShapes = {
  'foreign keys': [['--foreign-keys'], ['pgbench_accounts', 'pgbench_branches', 'pgbench_tellers']],
  'partitions by hash': [['--partitions=3', '--partition-method=hash'], ['pgbench_accounts']],
} as const

test.each(Object.entries(pgbenchShapes))(
  'the tables that pgbench makes with %s are added under its load, one after the other, and verified',
  async (_, [shape, tables]) => {
    const world = await createKafkaWorld('CREATE TABLE carried (id integer PRIMARY KEY)', [
      { name: 'public.carried', users: nobody },
    ])
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    const pgbench = (...args: string[]) => promisify(execFile)('pgbench', [...args, world.url])
    await pgbench('--initialize', '--scale=1', '--quiet', ...shape)
    let isLoading = true
    const load = (async () => {
      while (isLoading) await pgbench('--no-vacuum', '--client=4', '--time=2', '--rate=40')
    })()
    const cdc = (...argv: string[]) => runCli(world.settings, ...argv)
    try {
      for (const name of tables) {
        expect(await cdc('add', name)).toMatchObject({ code: 0, stdout: `public.${name} is carried\n` })
        expect(await cdc('verify', name)).toMatchObject({ code: 0 })
      }
      // It has no key.
      expect(await cdc('add', 'pgbench_history')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('TENDON-CDC-008'),
      })
    } finally {
      isLoading = false
      await load
    }
    for (const name of tables) expect(await cdc('verify', name)).toMatchObject({ code: 0 })
    await feed.stop()
    await world.close()
  },
  240_000,
)
