import { expect, test } from 'vitest'
import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testMisread } from './misread.suite.ts'

testMisread(createKafkaWorld, 1)

test('columns have other names before it is recorded that their table was read, and it is read again', async () => {
  const users = `SELECT '00000000-0000-4000-8000-000000000001' AS user_id FROM changed_keys`
  const world = await createKafkaWorld(
    'CREATE TABLE items (id integer PRIMARY KEY, n integer, m integer); INSERT INTO items VALUES (1, 2, 3)',
    [{ name: 'public.items', users }],
  )
  const [asked, told] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let isHeld = false
  const feed = world.newFeed({
    async invalidate() {
      if (!isHeld) return
      asked.resolve()
      await told.promise
    },
  })
  feed.start()
  await feed.caughtUp()
  isHeld = true
  // It is read again, and who it concerns is told before it is recorded.
  await world.sql.query('ALTER TABLE items ALTER n TYPE bigint USING n + 1')
  await asked.promise
  const swap =
    'ALTER TABLE items RENAME n TO x; ALTER TABLE items RENAME m TO n; ALTER TABLE items RENAME x TO m'
  await world.sql.query(`BEGIN; ${swap}; INSERT INTO items (id, n, m) VALUES (2, 4, 5); ${swap}; COMMIT`)
  const isThere = async () => (await world.rows('SELECT id FROM crm.items FINAL WHERE n = 4')).length
  await expect.poll(isThere, { timeout: 40_000 }).toBe(1)
  expect(await world.rows(`SELECT table FROM cdc.snapshots FINAL WHERE membership <> ''`)).toEqual([])
  told.resolve()
  await expect.poll(() => world.differences(feed), { timeout: 40_000, interval: 250 }).toEqual([])
  await world.close()
}, 60_000)
