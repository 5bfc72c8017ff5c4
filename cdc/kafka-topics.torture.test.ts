import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import { CompressionTypes } from 'kafkajs'
import { afterAll, expect, test } from 'vitest'
import { hammerEntries, hammerTables, startHammer } from './hammer.fixture.ts'
import { changeTopic } from './kafka-table.ts'
import { createKafkaWorld, type KafkaWorld, kafkaOf } from './kafka-world.fixture.ts'
import { nobody } from './known-tables.ts'
import { lookUpTables } from './source-catalog.ts'

const stack = await startNativeStack(4_000, ['crm', 'kafka', 'connect'])
afterAll(() => stack.remove())

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

test('messages that are no changes are kept whole, and the stream goes on', async () => {
  const world = await createKafkaWorld('CREATE TABLE notes (id integer PRIMARY KEY, body text)', [
    { name: 'public.notes', users: nobody },
  ])
  const feed = world.newFeed()
  feed.start()
  await world.sql.query(`INSERT INTO notes VALUES (1, 'before')`)
  await feed.caughtUp()
  const topic = changeTopic(world.config, 'public.notes')
  const poison = [
    '{"id": 1, "body": ',
    'not JSON at all',
    '{"id":1,"body":"no change event"}',
    '42',
    '[{"__op":"c"}]',
    '{"id":7,"__op":"c","__source_table":"notes","__source_schema":"public"}',
    `{"id":123456789012345678901234567890,"__op":"x","quote":"\\"'\\\\"}`,
  ]
  // Whoever writes into a topic chooses how.
  const compressions = [CompressionTypes.None, CompressionTypes.GZIP]
  for (const [n, value] of poison.entries()) await send(world, topic, null, value, compressions[n % 2])
  // With a key it looks like a change, but nobody can tell its place.
  const keyed = '{"id":8,"body":"x","__op":"c","__source_table":"notes","__source_schema":"public"}'
  poison.push(keyed)
  await send(world, topic, '{"id":8}', keyed)
  await world.sql.query(`INSERT INTO notes VALUES (2, 'after')`)

  expect(await world.differences(feed)).toEqual([])
  const letters = await world.rows(
    `SELECT topic, partition, toInt32(offset) AS offset, message, reason != '' AS has_reason
     FROM cdc.dead_letters FINAL ORDER BY offset`,
  )
  expect(letters).toEqual(
    poison.map((message, place) => ({
      topic,
      partition: 0,
      offset: place + 1,
      message,
      has_reason: expect.toBeOneOf([1, true]),
    })),
  )
  await world.close()
})

test('tables whose names a topic cannot tell apart share one', async () => {
  const names = ['ключ', 'поле']
  const world = await createKafkaWorld(
    names.map((name) => `CREATE TABLE "${name}" (id integer PRIMARY KEY, v text)`).join(';'),
    names.map((name) => ({ name: `public.${name}`, users: nobody })),
  )
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  for (const name of names) await world.sql.query(`INSERT INTO "${name}" VALUES (1, $1)`, [name])
  expect(await world.differences(feed)).toEqual([])
  await world.close()
}, 120_000)

test('partitions that a topic is given later are read, and it is said that they were made', async () => {
  const world = await createKafkaWorld(hammerTables, hammerEntries)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const hammer = startHammer(world.url, { pauseMs: 100 })
  const admin = kafkaOf(world).admin()
  await admin.connect()
  const topic = changeTopic(world.config, 'public.journal')
  const problems = new Set<string | undefined>()
  const watching = setInterval(() => problems.add(feed.status().problem?.code), 20)
  await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
  // The connector's producer learns of them when it starts.
  const connector = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}`
  await fetch(`${connector}/restart?includeTasks=true`, { method: 'POST' })
  await expect.poll(() => hammer.commits(), { timeout: 60_000 }).toBeGreaterThan(300)
  await hammer.stop()
  expect(await world.differences(feed)).toEqual([])
  clearInterval(watching)
  expect(problems).toContain('TENDON-CDC-022')
  const [row] = await world.rows(`SELECT uniqExact(partition) AS n FROM cdc.events WHERE topic = '${topic}'`)
  expect(Number(row!.n)).toBe(4)
  await feed.ready()
  await admin.disconnect()
  await world.close()
}, 240_000)

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

test('any schema that pgbench makes is carried under load, the table without a key refused', async () => {
  const tables = ['accounts', 'branches', 'tellers', 'history'].map((name) => `public.pgbench_${name}`)
  const world = await createKafkaWorld(
    '',
    tables.slice(0, 3).map((name) => ({ name, users: nobody })),
  )
  const pgbench = (...args: string[]) => promisify(execFile)('pgbench', [...args, world.url])
  await pgbench('--initialize', '--scale=1', '--quiet', '--foreign-keys')
  await world.sql.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO tendon_cdc')
  const feed = world.newFeed()
  feed.start()
  const load = pgbench('--no-vacuum', '--client=4', '--time=10', '--rate=200')
  await feed.caughtUp()
  await load
  expect(await world.differences(feed)).toEqual([])
  await feed.stop()

  const all = tables.map((name) => ({ name, users: nobody }))
  const { problems } = await lookUpTables(world.sql, all)
  expect(problems.map(({ code }) => code)).toEqual(['TENDON-CDC-008'])
  const withHistory = world.newFeed({ entries: all })
  withHistory.start()
  await withHistory.caughtUp()
  expect(await world.differences(withHistory)).toEqual([])
  await world.close()
}, 240_000)
