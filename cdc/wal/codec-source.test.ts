import { afterAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const changes = `UPDATE items SET id = id + 100 WHERE id < 4; DELETE FROM items WHERE id = 5;
  UPDATE items SET n = 7 WHERE id = 6; INSERT INTO items VALUES (1, 'new', 8, 9)`

/** Each with what undoes it. */
const forAWhile: Record<string, [string, string]> = {
  'another index tells rows apart': [
    'ALTER TABLE items REPLICA IDENTITY USING INDEX items_name',
    'ALTER TABLE items REPLICA IDENTITY DEFAULT',
  ],
  'the key is another': [
    'ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (name)',
    'ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (id)',
  ],
  'columns have the names of each other': [
    'ALTER TABLE items RENAME n TO x; ALTER TABLE items RENAME m TO n; ALTER TABLE items RENAME x TO m',
    'ALTER TABLE items RENAME n TO x; ALTER TABLE items RENAME m TO n; ALTER TABLE items RENAME x TO m',
  ],
  'tables have the names of each other': [
    'ALTER TABLE items RENAME TO x; ALTER TABLE others RENAME TO items; ALTER TABLE x RENAME TO others',
    'ALTER TABLE items RENAME TO x; ALTER TABLE others RENAME TO items; ALTER TABLE x RENAME TO others',
  ],
}

test.each(Object.entries(forAWhile))(
  'for a while %s, and nobody else ever sees it',
  async (_what, [to, back]) => {
    const world = await createWorld(
      servers,
      `CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, n integer, m integer);
     CREATE UNIQUE INDEX items_name ON items (name);
     CREATE TABLE others (LIKE items INCLUDING ALL);
     INSERT INTO items SELECT i, 'n' || i, i, -i FROM generate_series(1, 10) i;
     INSERT INTO others SELECT id + 3, name, 0, 0 FROM items`,
      [{ name: 'public.items', users: nobody }],
    )
    const feed = world.newFeed()
    feed.start()
    // Again and again: that it was looked into before says nothing.
    for (let round = 0; round < 2; round++) {
      await feed.caughtUp()
      await world.sql.query(`DELETE FROM items WHERE id = 1; DELETE FROM others WHERE name = 'new'`)
      await world.sql.query(`BEGIN; ${to}; ${changes}; UPDATE others SET n = 3; ${back}; COMMIT`)
      await world.sql.query(`UPDATE items SET name = name || 'x', id = id + 10000`)
      await world.sql.query(`INSERT INTO items SELECT i, 'n' || i, i, -i FROM generate_series(1, 10) i`)
      await expect.poll(() => world.differences(feed), { timeout: 20_000 }).toEqual([])
    }
    await world.close()
  },
)

test('a transaction that is prepared, and committed after others, comes whole and in its place', async () => {
  const world = await createWorld(servers, 'CREATE TABLE items (id integer PRIMARY KEY, n integer)', [
    { name: 'public.items', users: nobody },
  ])
  const feed = world.newFeed()
  feed.start()
  // A slot that is made waits for what is prepared.
  await feed.caughtUp()
  await world.sql.query('INSERT INTO items SELECT i, 0 FROM generate_series(1, 5) i')
  await world.sql.query(`BEGIN; UPDATE items SET n = 1 WHERE id < 3; INSERT INTO items VALUES (6, 1);
    SAVEPOINT s; DELETE FROM items; ROLLBACK TO s; DELETE FROM items WHERE id = 1; PREPARE TRANSACTION 'committed'`)
  await world.sql.query(`BEGIN; UPDATE items SET n = 2 WHERE id = 5; PREPARE TRANSACTION 'rolled back'`)
  await world.sql.query('UPDATE items SET n = 3 WHERE id IN (3, 4)')
  expect(await world.differences(feed)).toEqual([])
  await world.sql.query(`COMMIT PREPARED 'committed'`)
  await world.sql.query(`ROLLBACK PREPARED 'rolled back'`)
  await world.sql.query('UPDATE items SET n = n + 10 WHERE id IN (2, 5)')
  expect(await world.differences(feed)).toEqual([])
  await world.close()
})
