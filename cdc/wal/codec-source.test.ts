import { afterAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

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
