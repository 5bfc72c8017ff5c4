import type { Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseErrors } from '@tendon/warehouse/errors.ts'
import { afterAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers, withConnection } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const entry = (name: string) => ({ name: `public.${name}`, users: nobody })
const counters = 'CREATE TABLE counters (id integer PRIMARY KEY, n integer NOT NULL)'

test('between the snapshot and the stream there is no gap and no double, while four writers write', async () => {
  const world = await createWorld(servers, counters, [entry('counters')])
  await world.sql.query('INSERT INTO counters SELECT id, 0 FROM generate_series(1, 400) AS id')
  let isWriting = true
  const writers = [1, 2, 3, 4].map((writer) =>
    withConnection(world.url, async (client) => {
      for (let turn = 0; isWriting; turn++) {
        await client.query('UPDATE counters SET n = n + 1 WHERE id = $1', [writer * 100 - (turn % 100)])
        if (turn % 10 === 0) await client.query('INSERT INTO counters VALUES ($1, 0)', [writer * 1e6 + turn])
        if (turn % 20 === 10)
          await client.query('DELETE FROM counters WHERE id = $1', [writer * 1e6 + turn - 10])
      }
    }),
  )
  const feed = world.newFeed()
  feed.start()
  await expect.poll(() => feed.status().state, { interval: 5, timeout: 20_000 }).toBe('streaming')
  await feed.caughtUp()
  isWriting = false
  await Promise.all(writers)

  expect(await world.differences(feed)).toEqual([])
  // Each counter rises by one with each change, from what the snapshot saw.
  const broken = await world.rows(`
    SELECT key, seen
    FROM (
      SELECT key, arraySort(groupArray((version, JSONExtractInt(row, 'n')))).2 AS seen
      FROM cdc.events
      WHERE deleted = 0
      GROUP BY key
    )
    WHERE seen != arrayMap(place -> seen[1] + place - 1, arrayEnumerate(seen))`)
  expect(broken).toEqual([])
  await world.close()
})

test('a snapshot that dies half way is taken again, later, and what has gone meanwhile is gone', async () => {
  const world = await createWorld(servers, counters, [entry('counters')])
  await world.sql.query('INSERT INTO counters SELECT id, 0 FROM generate_series(1, 90000) AS id')
  let inserts = 0
  const dying: Warehouse = {
    ...world.warehouse,
    async insertLines(...insert) {
      if (++inserts > 1) throw warehouseErrors.unavailable('The feed dies here.')
      await world.warehouse.insertLines(...insert)
    },
  }
  const first = world.newFeed({ warehouse: dying })
  first.start()
  await expect.poll(() => inserts, { interval: 5, timeout: 20_000 }).toBeGreaterThan(1)
  await first.stop()
  const [half] = await world.rows('SELECT count() AS n, max(version) AS version FROM cdc.events')
  expect(Number(half!.n)).toBeGreaterThan(0)
  expect(Number(half!.n)).toBeLessThan(90_000)

  await world.sql.query('DELETE FROM counters WHERE id % 3 = 0; UPDATE counters SET n = 1 WHERE id % 3 = 1')
  const second = world.newFeed()
  second.start()
  expect(await world.differences(second)).toEqual([])
  const [whole] = await world.rows(`SELECT min(version) AS version FROM cdc.events WHERE op = 'd'`)
  expect(BigInt(String(whole!.version))).toBeGreaterThan(BigInt(String(half!.version)))
  await world.close()
})

test('a table added to the registry is read whole, and so is one whose replica was removed', async () => {
  const ddl = `${counters}; CREATE TABLE others (id integer PRIMARY KEY, n integer);
    INSERT INTO counters VALUES (1, 1); INSERT INTO others VALUES (1, 1)`
  const world = await createWorld(servers, ddl, [entry('counters'), entry('others')])
  const first = world.newFeed({ entries: [entry('counters')] })
  first.start()
  expect(await world.differences(first, [entry('counters')])).toEqual([])
  await world.sql.query('INSERT INTO others VALUES (2, 2)')
  await first.stop()

  const second = world.newFeed()
  second.start()
  expect(await world.differences(second)).toEqual([])
  await second.stop()

  await world.warehouse.command('DROP TABLE crm.others SYNC')
  const third = world.newFeed()
  third.start()
  expect(await world.differences(third)).toEqual([])
  await world.close()
})

test('a warehouse that has lost what it had confirmed is filled again', async () => {
  const world = await createWorld(servers, counters, [entry('counters')])
  const first = world.newFeed()
  first.start()
  await first.caughtUp()
  await world.warehouse.command('CREATE TABLE cdc.kept AS cdc.positions')
  await world.warehouse.command('INSERT INTO cdc.kept SELECT * FROM cdc.positions FINAL')
  await world.sql.query('INSERT INTO counters VALUES (1, 1), (2, 2)')
  await first.caughtUp()
  await first.stop()

  // As after a restore of yesterday's backup.
  for (const table of ['cdc.events', 'cdc.positions', 'crm.counters']) {
    await world.warehouse.command(`TRUNCATE TABLE ${table}`)
  }
  await world.warehouse.command('INSERT INTO cdc.positions SELECT * FROM cdc.kept')
  await world.warehouse.command('DROP TABLE cdc.kept SYNC')
  const second = world.newFeed()
  second.start()
  expect(await world.differences(second)).toEqual([])
  await world.close()
})

test('a second feed at the same slot waits, and takes over when the first ends', async () => {
  const world = await createWorld(servers, counters, [entry('counters')])
  const first = world.newFeed()
  first.start()
  await first.caughtUp()
  const second = world.newFeed()
  second.start()
  await expect
    .poll(() => second.status().problem?.code, { interval: 5, timeout: 10_000 })
    .toBe('TENDON-CDC-003')
  await world.sql.query('INSERT INTO counters VALUES (1, 1)')
  expect(await world.differences(first)).toEqual([])
  await first.stop()
  await world.sql.query('INSERT INTO counters VALUES (2, 2)')
  expect(await world.differences(second)).toEqual([])
  await world.close()
})
