import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { freePort } from '@tendon/platform/free-port.ts'
import { createLog } from '@tendon/platform/log.ts'
import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { readPosition, writePosition } from '../changes/positions.ts'
import { nobody } from '../derive/known-tables.ts'
import type { CdcFeed } from '../feed-supervisor.ts'
import { registry } from '../registry.ts'
import { createWorld, startServers, type World } from '../suites/replica-of-source.fixture.ts'
import { type FeedReport, readFeedReport } from './feed-report.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const ddl = await readFile(new URL(import.meta.resolve('@tendon/sources/crm/schema.sql')), 'utf8')

/** A feed over the CRM's tables that has caught up. */
async function startWorld(): Promise<{ world: World; feed: CdcFeed; settings: Record<string, string> }> {
  const world = await createWorld(servers, ddl, [...registry])
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const settings = settingsOf(world, servers.clickHouse)
  return { world, feed, settings }
}

async function status(settings: Record<string, string>): Promise<FeedReport> {
  const { code, stdout, stderr } = await runCli(settings, 'status', '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** The same, asked from here. */
const reportOf = (world: World): Promise<FeedReport> =>
  readFeedReport({
    source: world.sql,
    warehouse: world.warehouse,
    slotName: world.slotName,
    publicationName: world.publicationName,
    crmDatabaseUrl: world.url,
    entries: world.entries,
    log: createLog({ service: 'cdc', level: 'fatal' }),
  })

const codes = ({ problems }: FeedReport) => problems.map(({ code }) => code)

const closedAddress = async () => `127.0.0.1:${await freePort('127.0.0.1')}`

test('status says all it knows while Kafka and Kafka Connect are down, and what to do', async () => {
  const { world, settings } = await startWorld()
  const chain = {
    ...settings,
    KAFKA_BROKERS: await closedAddress(),
    KAFKA_CONNECT_URL: `http://${await closedAddress()}`,
  }
  const report = await status(chain)
  expect(report).toMatchObject({
    slot: { active: true },
    tables: registry.map(({ name }) => ({ table: name, rows: 0 })),
    kafka: {},
  })
  expect(report.problems).toEqual([
    {
      code: 'TENDON-CDC-016',
      detail: expect.any(String),
      help: expect.stringContaining('KAFKA_CONNECT_URL'),
    },
    { code: 'TENDON-CDC-019', detail: expect.any(String), help: expect.stringContaining('KAFKA_BROKERS') },
  ])
  expect(await runCli(chain, 'status')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(
      /connector unknown[\s\S]*topic {5}unknown[\s\S]*TENDON-CDC-016[\s\S]*what to do: Check KAFKA_CONNECT_URL/,
    ),
  })

  const cause = 'Caused by: org.postgresql.util.PSQLException: FATAL: password authentication failed'
  const trace = [
    'org.apache.kafka.connect.errors.ConnectException: it failed',
    ...Array(9).fill('\tat a.b.C'),
    cause,
  ]
  const connect = createServer((_, response) => {
    const tasks = [{ id: 0, state: 'FAILED', trace: trace.join('\n') }]
    response.end(JSON.stringify({ connector: { state: 'RUNNING' }, tasks }))
  })
  const port = await freePort('127.0.0.1')
  await new Promise<void>((resolve) => connect.listen(port, '127.0.0.1', resolve))
  const failed = { ...chain, KAFKA_CONNECT_URL: `http://127.0.0.1:${port}` }
  const told = await status(failed)
  expect(told.kafka).toEqual({
    connector: { state: 'RUNNING', task: 'FAILED', trace: expect.arrayContaining([trace[0], cause]) },
  })
  expect(codes(told)).toEqual(['TENDON-CDC-018', 'TENDON-CDC-019'])
  expect((await runCli(failed, 'status')).stdout).toContain(cause)
  await new Promise((resolve) => connect.close(resolve))
  await world.close()
}, 180_000)

test('status counts dead letters that are of no table, or of one that is not carried', async () => {
  const { world, settings } = await startWorld()
  expect((await status(settings)).dead_letters).toEqual({ total: 0, of_no_table: 0, of_others: {} })
  const letter = {
    version: 0,
    reason: 'not a change',
    encoding: 'kafka',
    message: '{',
    topic: 'crm.public.customers',
  }
  await world.warehouse.insertRows('cdc.dead_letters', [
    { ...letter, table: '', offset: 1 },
    { ...letter, table: '', offset: 2 },
    { ...letter, table: 'public.customers', offset: 3 },
    { ...letter, table: 'public.removed', offset: 4 },
  ])
  const report = await status(settings)
  expect(report.dead_letters).toEqual({ total: 4, of_no_table: 2, of_others: { 'public.removed': 1 } })
  expect(report.tables).toContainEqual(
    expect.objectContaining({ table: 'public.customers', dead_letters: 1 }),
  )
  const { stdout } = await runCli(settings, 'status')
  expect(stdout).toContain(
    '4 dead letters, 2 of them of no table\n          1 of public.removed, which is not carried\n',
  )
  await world.close()
}, 180_000)

test('status says how late the replicas can be at most, by the source', async () => {
  const { world, feed, settings } = await startWorld()
  await world.sql.query(
    `INSERT INTO prosthesis_models VALUES (1, 'one', 'hand', 1, 1.5, 2.50, '{}', '2024-01-01')`,
  )
  await feed.caughtUp()
  const lateAtMost = async () => (await status(settings)).position!.late_at_most_seconds
  await expect.poll(lateAtMost, { timeout: 60_000, interval: 500 }).toBe(0)
  expect((await runCli(settings, 'status')).stdout).toContain('late by 0.0 s at most')
  await feed.stop()
  await world.sql.query(`UPDATE prosthesis_models SET name = 'two'`)
  const readClock = async () =>
    Number((await world.sql.query('SELECT extract(epoch FROM clock_timestamp()) AS s')).rows[0].s)
  const before = await readClock()
  const { position } = await status(settings)
  const after = await readClock()
  const committedAt = Date.parse(position!.committed_at) / 1000
  expect(position!.late_at_most_seconds).toBeGreaterThanOrEqual(before - committedAt - 0.001)
  expect(position!.late_at_most_seconds).toBeLessThanOrEqual(after - committedAt + 0.001)
  await world.close()
}, 180_000)

test('status says that the slot is gone, and that the source was restored or failed over', async () => {
  const { world, feed, settings } = await startWorld()
  await feed.stop()
  expect(codes(await reportOf(world))).toEqual([])

  const stored = (await readPosition(world.warehouse, world.slotName))!
  const { history } = stored
  const pretend = async (change: Partial<typeof stored>) => {
    await world.warehouse.command('TRUNCATE TABLE cdc.positions')
    await writePosition(world.warehouse, world.slotName, { ...stored, ...change })
  }
  await pretend({ history: { ...history, systemIdentifier: '1' } })
  expect(codes(await reportOf(world))).toEqual(['TENDON-CDC-006'])
  await pretend({ history: { ...history, timeline: history.timeline + 1 } })
  expect(codes(await reportOf(world))).toEqual(['TENDON-CDC-006'])
  await pretend({ lsn: stored.lsn + (1n << 40n) })
  expect(codes(await reportOf(world))).toEqual(['TENDON-CDC-006'])
  await pretend({})
  expect(codes(await reportOf(world))).toEqual([])

  await world.sql.query('DROP PUBLICATION test_publication')
  expect(codes(await reportOf(world))).toEqual(['TENDON-CDC-010'])
  await world.sql.query('SELECT pg_drop_replication_slot($1)', [world.slotName])
  const report = await reportOf(world)
  expect(report).toMatchObject({ slot: null, position: {} })
  expect(codes(report)).toEqual(['TENDON-CDC-004'])
  expect(await runCli(settings, 'status')).toMatchObject({
    stdout: expect.stringMatching(/there is none\n[\s\S]*TENDON-CDC-004[\s\S]*what to do: .*new snapshot/),
  })
  await world.close()
}, 180_000)

test('a server whose slots are all in use is said to have no room, and the feed goes on once it has', async () => {
  const world = await createWorld(servers, 'CREATE TABLE seats (id integer PRIMARY KEY)', [
    { name: 'public.seats', users: nobody },
  ])
  await world.sql.query(`
    SELECT pg_create_physical_replication_slot('other_' || n)
    FROM generate_series(1, current_setting('max_replication_slots')::int) n`)
  try {
    const feed = world.newFeed()
    feed.start()
    await expect.poll(() => feed.status().problem?.code).toBe('TENDON-CDC-032')
    expect(codes(await reportOf(world))).toContain('TENDON-CDC-032')
    await world.sql.query(`SELECT pg_drop_replication_slot('other_1')`)
    await feed.caughtUp()
    expect(feed.status().problem).toBeUndefined()
  } finally {
    await world.sql.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_type = 'physical'`,
    )
    await world.close()
  }
}, 180_000)

test('a column that cannot be carried as asked, or at all, is said, and the others go on', async () => {
  const { world, feed } = await startWorld()
  await world.sql.query(`
    INSERT INTO prosthesis_models VALUES (1, 'one', 'hand', 1, 1.5, 2.50, '{}', '2024-01-01');
    ALTER TABLE prosthesis_models DROP CONSTRAINT prosthesis_models_list_price_check,
      ADD COLUMN _version integer, ALTER list_price TYPE text;
    UPDATE prosthesis_models SET name = 'two', list_price = 'on request', _version = 7`)
  const models = async () => (await world.rows('SELECT name, list_price FROM crm.prosthesis_models FINAL'))[0]
  await expect.poll(models, { timeout: 30_000 }).toEqual({ name: 'two', list_price: 'on request' })
  await feed.caughtUp()
  const { problems } = await reportOf(world)
  expect(problems).toEqual([
    expect.objectContaining({ code: 'TENDON-CDC-009', detail: expect.stringContaining('list_price') }),
    expect.objectContaining({ code: 'TENDON-CDC-009', detail: expect.stringContaining('_version') }),
  ])
  await world.close()
}, 180_000)

test('values out of line, of whatever type, are what REPLICA IDENTITY FULL is advised for', async () => {
  const world = await createWorld(
    servers,
    `CREATE TABLE notes (id integer PRIMARY KEY, n integer, body text);
     CREATE TABLE amounts (id integer PRIMARY KEY, v numeric);
     CREATE TABLE parts (id integer, v json, PRIMARY KEY (id)) PARTITION BY RANGE (id);
     CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (9);
     CREATE TABLE whole (id integer PRIMARY KEY, body text);
     ALTER TABLE whole REPLICA IDENTITY FULL;
     CREATE TABLE small (id integer PRIMARY KEY, a text, b varchar, c jsonb, d bytea);
     CREATE FUNCTION noise() RETURNS text LANGUAGE sql AS
       $$ SELECT string_agg((random() * 1e15)::bigint::text, '') FROM generate_series(1, 3000) $$;
     INSERT INTO notes VALUES (1, 1, noise());
     INSERT INTO amounts VALUES (1, noise()::numeric);
     INSERT INTO parts VALUES (1, to_json(noise()));
     INSERT INTO whole VALUES (1, noise());
     INSERT INTO small VALUES (1, 'a', 'b', '{}', '')`,
    ['notes', 'amounts', 'parts', 'whole', 'small'].map((name) => ({
      name: `public.${name}`,
      users: nobody,
    })),
  )
  const { advice } = await reportOf(world)
  expect(advice).toEqual([
    expect.stringMatching(/^public.notes .* \(of body\)/),
    expect.stringMatching(/^public.amounts .* \(of v\)/),
    expect.stringMatching(/^public.parts .* \(of v\)/),
  ])
  await world.close()
}, 180_000)
