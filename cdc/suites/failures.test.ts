import { afterAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const entries = [{ name: 'public.items', users: nobody }]
const items = 'CREATE TABLE items (id integer PRIMARY KEY, v text)'

test('a change that ClickHouse will not take is a dead letter, kept whole; all others are applied', async () => {
  const world = await createWorld(servers, items, entries)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  await world.warehouse.command('CREATE TABLE cdc.guarded (v UInt8) ENGINE = Null')
  await world.warehouse.command(
    `CREATE MATERIALIZED VIEW cdc.guard TO cdc.guarded AS
     SELECT throwIf(JSONExtractString(row, 'v') = 'poison') AS v FROM cdc.events`,
  )
  await world.sql.query(`INSERT INTO items SELECT n, if_poison FROM generate_series(1, 500) n,
    LATERAL (SELECT CASE WHEN n IN (7, 300) THEN 'poison' ELSE 'fine' END AS if_poison) x`)
  await world.sql.query(`UPDATE items SET v = 'later' WHERE id = 500`)
  await feed.caughtUp()
  await world.warehouse.command('DROP VIEW cdc.guard SYNC')
  const letters = await world.rows(
    'SELECT table, key, op, encoding, message, reason FROM cdc.dead_letters FINAL ORDER BY version',
  )
  expect(letters.map(({ key }) => key)).toEqual(['{"id":7}', '{"id":300}'])
  expect(letters[0]).toMatchObject({ table: 'public.items', op: 'c', encoding: 'json' })
  expect(JSON.parse(String(letters[0]!.message))).toMatchObject({
    id: 7,
    v: 'poison',
    __op: 'c',
    __deleted: 'false',
  })
  const [counted] = await world.rows(
    `SELECT countIf(v != 'poison') AS n, countIf(v = 'later') AS later FROM crm.items FINAL`,
  )
  expect(counted).toEqual({ n: '498', later: '1' })
  await world.close()
})

test('ClickHouse killed, and the connection to PostgreSQL cut, in the middle of changes: all arrive', async () => {
  const world = await createWorld(servers, items, entries)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  for (let round = 0; round < 3; round++) {
    await world.sql.query(`INSERT INTO items SELECT n, 'x' FROM generate_series($1::int, $1::int + 4999) n`, [
      round * 5000,
    ])
    process.kill(servers.clickHouse.pid()!, 'SIGKILL')
    await world.sql.query('UPDATE items SET v = v || $1 WHERE id % 7 = 0', [round])
    await world.sql.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database() AND active',
    )
    await world.sql.query('DELETE FROM items WHERE id % 11 = 0')
    expect(await world.differences(feed)).toEqual([])
  }
  await world.close()
})

test('an idle feed lets the source drop WAL that holds nothing for it, and misses nothing afterwards', async () => {
  const world = await createWorld(servers, `${items}; CREATE TABLE elsewhere (v text)`, entries)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const before = feed.status().position
  await world.sql.query(`INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, 1000)`)
  await feed.caughtUp()
  expect(feed.status().position).not.toBe(before)
  await feed.stop()
  await world.sql.query(`INSERT INTO items VALUES (1, 'while it was away')`)
  const second = world.newFeed()
  second.start()
  expect(await world.differences(second)).toEqual([])
  const [snapshots] = await world.rows(`SELECT uniqExact(version) AS n FROM cdc.snapshots`)
  expect(snapshots).toEqual({ n: '1' })
  await world.close()
})
