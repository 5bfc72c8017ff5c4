import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { runCli } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { registry } from '../registry.ts'
import { changeTopic } from './kafka-table.ts'
import { createKafkaWorld, type KafkaWorld, kafkaOf } from './kafka-world.fixture.ts'

const cdc = (world: KafkaWorld, ...argv: string[]) => runCli(world.settings, ...argv)

/** The connection over which the connector reads the WAL: another one once it has been restarted. */
async function walSenders(world: KafkaWorld): Promise<unknown[]> {
  const { rows } = await world.sql.query('SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1', [
    world.slotName,
  ])
  return rows
}

test('a table is added by its name while the stream goes on, and its history comes without a restart of the connector', async () => {
  const world = await createKafkaWorld(
    `CREATE TABLE items (id integer PRIMARY KEY, v text);
     CREATE TABLE parts (id integer, lot text, n numeric, PRIMARY KEY (lot, id));
     CREATE TABLE keyless (v text);
     CREATE SCHEMA "Odd.Schema";
     CREATE TABLE "Odd.Schema"."say ""é"", t" ("i d" integer PRIMARY KEY, "s x" text, v text);
     INSERT INTO "Odd.Schema"."say ""é"", t" VALUES (1, 'secret', 'v');
     INSERT INTO parts SELECT n, 'a', n FROM generate_series(1, 5000) n`,
    [{ name: 'public.items', users: nobody }],
  )
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const streaming = await walSenders(world)
  let isWriting = true
  const writing = (async () => {
    for (let n = 1; isWriting; n++) {
      await world.sql.query(
        `INSERT INTO items VALUES ($1, 'x'); UPDATE parts SET n = n + 1 WHERE id % 50 = $1 % 50`.replaceAll(
          '$1',
          String(n),
        ),
      )
      await world.sql.query(
        `DELETE FROM parts WHERE id = ${n}; INSERT INTO parts VALUES (${n + 10_000}, 'b', ${n})`,
      )
      // Some thousand rows a second: more than the chain carries on a machine that others use would never be caught up with.
      await delay(20)
    }
  })()
  const added = await cdc(world, 'add', 'parts', '--timeout-ms', '150000')
  isWriting = false
  await writing
  expect(added).toMatchObject({ code: 0, stdout: 'public.parts is carried\n' })
  expect(await walSenders(world)).toEqual(streaming)
  const [items] = world.entries
  const parts = { name: 'public.parts', users: nobody }
  expect(await world.differences(feed, [items!, parts])).toEqual([])
  expect(await cdc(world, 'add', 'parts')).toMatchObject({
    code: 0,
    stdout: 'public.parts is carried already\n',
  })
  expect(await cdc(world, 'add', 'keyless')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('TENDON-CDC-008'),
  })
  expect(await cdc(world, 'add', 'parts', '--users', 'SELECT id FROM crm.items')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/user_id[\s\S]*TENDON-CDC-024/),
  })
  expect(await cdc(world, 'add', 'parts', '--omit', 'n')).toMatchObject({ code: 0 })
  expect(await world.differences(feed, [items!, { ...parts, omitColumns: ['n'] }])).toEqual([])
  const columns = `SELECT name FROM system.columns WHERE database = 'crm' AND table = 'parts' AND name = 'n'`
  expect(await world.rows(columns)).toEqual([])
  const report = JSON.parse((await cdc(world, 'status', '--json')).stdout)
  expect(report).toMatchObject({
    slot: { active: true },
    kafka: { connector: { state: 'RUNNING', task: 'RUNNING' }, workers: 1 },
    tables: [{ table: 'public.parts', dead_letters: 0, rows: expect.any(Number) }],
  })
  expect(report.kafka.lag).toHaveLength(1)
  const lateAtMost = async () =>
    JSON.parse((await cdc(world, 'status', '--json')).stdout).position.late_at_most_seconds
  // Heartbeats alone stand in the WAL.
  await expect.poll(lateAtMost, { timeout: 40_000, interval: 500 }).toBe(0)
  // The CRM's own tables are not in this database; else nothing is wrong.
  expect(report.problems.map(({ code }: { code: string }) => code)).toEqual(
    registry.map(() => 'TENDON-CDC-007'),
  )

  const connector = `${world.config.kafkaConnectUrl}/connectors/${world.slotName}`
  await fetch(`${connector}/pause`, { method: 'PUT' })
  const problemsNow = async () => JSON.parse((await cdc(world, 'status', '--json')).stdout).problems
  await expect
    .poll(problemsNow, { timeout: 30_000, interval: 500 })
    .toContainEqual(
      expect.objectContaining({ code: 'TENDON-CDC-018', detail: expect.stringContaining('PAUSED') }),
    )
  await fetch(`${connector}/resume`, { method: 'PUT' })

  expect(await cdc(world, 'remove', 'parts')).toMatchObject({
    code: 0,
    stdout: 'public.parts is carried no more\n',
  })
  expect(
    await world.rows(
      `SELECT name FROM system.tables WHERE database IN ('cdc', 'crm') AND name LIKE '%parts%'`,
    ),
  ).toEqual([])
  expect(JSON.parse((await cdc(world, 'status', '--json')).stdout).tables).toEqual([])
  // Changes of meanwhile are nobody's, and what is carried goes on.
  await world.sql.query('DELETE FROM parts WHERE id % 3 = 0; INSERT INTO items VALUES (0, $$y$$)')
  expect(await world.differences(feed, [items!])).toEqual([])
  expect(await cdc(world, 'add', 'parts', '--timeout-ms', '150000')).toMatchObject({ code: 0 })
  expect(await world.differences(feed, [items!, parts])).toEqual([])
  const odd = { name: 'Odd.Schema.say "é", t', users: nobody, omitColumns: ['s x'] }
  const quoted = '"Odd.Schema"."say ""é"", t"'
  expect(await cdc(world, 'add', quoted, '--omit', 's x')).toMatchObject({ code: 0 })
  await world.sql.query(
    `INSERT INTO ${quoted} VALUES (2, 'secret', 'w'); DELETE FROM ${quoted} WHERE v = 'v'`,
  )
  expect(await world.differences(feed, [odd])).toEqual([])
  expect(await world.rows(`SELECT key FROM cdc.events WHERE position(row, 'secret') > 0`)).toEqual([])
  await world.sql.query('DROP TABLE parts')
  expect(await cdc(world, 'remove', 'parts')).toMatchObject({ code: 0 })
  expect(await cdc(world, 'remove', 'parts')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('is not a table that is carried'),
  })
  await world.close()
}, 240_000)

test('a column that is left out of a table that is added is in no message of it', async () => {
  const world = await createKafkaWorld(
    `CREATE TABLE items (id integer PRIMARY KEY, v text);
     CREATE TABLE people (id integer PRIMARY KEY, secret text, n integer); INSERT INTO people VALUES (0, 'classified', 0)`,
    [{ name: 'public.items', users: nobody }],
  )
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  let isWriting = true
  const writing = (async () => {
    for (let id = 1; isWriting; id++) {
      await world.sql.query(`INSERT INTO people VALUES (${id}, 'classified', 0)`)
      await world.sql.query(`UPDATE people SET n = n + 1 WHERE id = ${id}`)
    }
  })()
  expect(await cdc(world, 'add', 'people', '--omit', 'secret', '--timeout-ms', '150000')).toMatchObject({
    code: 0,
  })
  isWriting = false
  await writing
  const people = { name: 'public.people', users: nobody, omitColumns: ['secret'] }
  expect(await world.differences(feed, [...world.entries, people])).toEqual([])
  const [count] = await world.rows(
    `SELECT count() > 0 AS some, countIf(position(row, 'classified') > 0) AS n FROM cdc.events WHERE table = 'public.people'`,
  )
  expect(count).toEqual({ some: expect.toBeOneOf([1, true]), n: '0' })
  await retryWhatNobodyCouldApply(world)
  await world.close()
}, 240_000)

/** A message that was mended among the dead letters, and a change with a value of another type, which stays. */
async function retryWhatNobodyCouldApply(world: KafkaWorld): Promise<void> {
  const [last] = await world.rows(
    `SELECT row FROM cdc.events WHERE table = 'public.people' AND op = 'u' ORDER BY version DESC LIMIT 1`,
  )
  const change = JSON.parse(String(last!.row))
  const [committed, lsn]: string[] = JSON.parse(change.__source_sequence)
  const later = (by: number) => JSON.stringify([committed, String(Number(lsn) + by)])
  const poison = { ...change, id: -1, __source_sequence: later(1), __history: 'none' }
  const otherType = { ...change, id: -2, __source_sequence: later(2), n: 'many' }
  const topic = changeTopic(world.config, 'public.people')
  const producer = kafkaOf(world).producer()
  await producer.connect()
  const messages = [poison, otherType].map((value) => ({
    key: JSON.stringify({ id: value.id }),
    value: JSON.stringify(value),
  }))
  await producer.send({ topic, messages })
  await producer.disconnect()
  const letters = () => world.rows('SELECT key, encoding, op FROM cdc.dead_letters FINAL ORDER BY encoding')
  const ofOtherType = { key: '{"id":-2}', encoding: 'json', op: 'u' }
  await expect
    .poll(letters, { timeout: 60_000 })
    .toEqual([ofOtherType, expect.objectContaining({ encoding: 'kafka' })])

  await world.warehouse.command(
    `INSERT INTO cdc.dead_letters SELECT * REPLACE (replaceOne(message, '"none"', '"${change.__history}"') AS message, now64(6) AS failed_at)
     FROM cdc.dead_letters FINAL WHERE encoding = 'kafka'`,
  )
  expect(await cdc(world, 'dead-letters', 'retry', 'people')).toMatchObject({
    code: 3,
    stdout: '1 applied, 0 superseded by later changes, 1 failed again\n',
  })
  expect(await letters()).toEqual([ofOtherType])
  expect(await world.rows('SELECT id, n FROM crm.people FINAL WHERE id < 0')).toEqual([{ id: -1, n: 1 }])
}

test('apply says beforehand what it will do, does it, and has nothing to do then', async () => {
  const world = await createKafkaWorld('CREATE TABLE customers (id integer PRIMARY KEY)', [])
  await world.sql.query(`
    CREATE TABLE prosthesis_models (id integer PRIMARY KEY, weight_grams numeric, list_price numeric, features text[] NOT NULL);
    CREATE TABLE prostheses (id integer PRIMARY KEY, customer_id uuid, model_id integer)`)
  const planned = JSON.parse((await cdc(world, 'apply', '--dry-run', '--json')).stdout)
  expect(planned.steps.join('\n')).not.toContain('ALTER PUBLICATION')
  expect(planned.steps.join('\n')).toMatch(
    /CREATE PUBLICATION[\s\S]*CREATE TABLE[\s\S]*ENGINE = Kafka[\s\S]*connector with/,
  )
  const { rows } = await world.sql.query('SELECT FROM pg_publication')
  expect(rows).toEqual([])
  expect(await cdc(world, 'apply')).toMatchObject({
    stderr: expect.not.stringContaining('TENDON-'),
    code: 0,
    stdout: expect.stringContaining('public.customers is in place'),
  })
  expect(await cdc(world, 'status')).toMatchObject({ stdout: expect.stringContaining('none runs') })
  const feed = world.newFeed({ entries: [...registry] })
  feed.start()
  await feed.caughtUp()
  const again = await cdc(world, 'apply', '--dry-run')
  expect(again.stdout).toBe('Everything is in place.\n')
  await world.close()
}, 120_000)
