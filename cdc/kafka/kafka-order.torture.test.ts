import { setTimeout as delay } from 'node:timers/promises'
import { startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { afterAll, expect, test } from 'vitest'
import { hammerEntries, hammerTables, startHammer } from '../suites/hammer.fixture.ts'
import { createKafkaWorld, type KafkaWorld } from './kafka-world.fixture.ts'

const stack = await startNativeStack(5_000, ['crm', 'kafka', 'connect'])
afterAll(() => stack.remove())

const seatsAndWhole = hammerEntries.map(({ name }) => `'${name}'`).join(', ')

/** Keys whose newest event by the change's own LSN is another one than by the version: what that order would get wrong. */
async function wrongByLsn(world: KafkaWorld): Promise<number> {
  const [row] = await world.rows(`
    SELECT countIf(by_lsn != by_version) AS wrong FROM (
      SELECT argMax(version, lsn) AS by_lsn, max(version) AS by_version FROM cdc.events
      WHERE table IN (${seatsAndWhole}) AND op NOT IN ('t', 'r') GROUP BY table, key)`)
  return Number(row!.wrong)
}

test.each([1, 4])(
  'rows of the initial snapshot race changes over %s partitions: every replica equals its source',
  async (topicPartitions) => {
    const world = await createKafkaWorld(hammerTables, hammerEntries, { topicPartitions })
    // The slot is made while many transactions are open, some of which began before its consistent point.
    const hammer = startHammer(world.url, { sessions: 12, pauseMs: 80 })
    try {
      await expect.poll(() => hammer.commits(), { timeout: 60_000 }).toBeGreaterThan(200)
      const feed = world.newFeed()
      feed.start()
      await feed.caughtUp()
      expect(await world.differences(feed)).toEqual([])
      await hammer.stop()
      expect(await world.differences(feed)).toEqual([])
    } finally {
      await hammer.stop()
    }
    const wrong = await wrongByLsn(world)
    process.stdout.write(
      `${topicPartitions} partitions: ${hammer.commits()} transactions, ${wrong} keys wrong by LSN\n`,
    )
    await world.close()
  },
  400_000,
)

const userPrefix = '00000000-0000-4000-8000-'

test('two workers share the topics, and one that goes leaves its part to the other: everybody concerned is told', async () => {
  const world = await createKafkaWorld(
    'CREATE TABLE people (id integer PRIMARY KEY, v integer)',
    [
      {
        name: 'public.people',
        users: `SELECT '${userPrefix}' || leftPad(toString(JSONExtractInt(key, 'id')), 12, '0') AS user_id FROM changed_keys`,
      },
    ],
    { topicPartitions: 4 },
  )
  await world.sql.query('INSERT INTO people SELECT n, 0 FROM generate_series(1, 200) n')
  const told = new Set<string>()
  const early: string[] = []
  /** Whoever is told must find the change. */
  const invalidate = async (ids: string[]) => {
    const users = ids.map((id) => String(Number(id.slice(userPrefix.length))))
    const rows = await world.rows(
      `SELECT toString(id) AS id, v FROM crm.people FINAL WHERE id IN (${users.join(', ')})`,
    )
    for (const user of users) {
      if (!rows.some(({ id }) => id === user)) early.push(user)
      if (rows.some(({ id, v }) => id === user && v === round)) told.add(user)
    }
  }
  let round = 0
  const first = world.newFeed({ invalidate })
  first.start()
  await first.caughtUp()
  const second = world.newFeed({ invalidate })
  second.start()
  await second.caughtUp()

  round = 1
  told.clear()
  await world.sql.query('UPDATE people SET v = 1')
  await first.stop()
  await second.caughtUp()
  expect(told.size).toBe(200)

  round = 2
  told.clear()
  await world.sql.query('UPDATE people SET v = 2')
  await second.caughtUp()
  expect(told.size).toBe(200)
  expect(early).toEqual([])
  expect(await world.differences(second)).toEqual([])
  await world.close()
}, 180_000)

test('a batch that takes longer than the group waits for its worker is dealt with once', async () => {
  const world = await createKafkaWorld(hammerTables, hammerEntries)
  let tombstones = 0
  const slow: Warehouse = {
    ...world.warehouse,
    async command(sql, params) {
      if (sql.includes('INSERT INTO cdc.events')) {
        tombstones += 1
        await delay(12_000)
      }
      return world.warehouse.command(sql, params)
    },
  }
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  await feed.stop()
  const slowed = world.newFeed({ warehouse: slow })
  slowed.start()
  await slowed.caughtUp()
  await world.sql.query('INSERT INTO journal VALUES (1, 1)')
  await world.sql.query('TRUNCATE journal')
  await slowed.caughtUp()
  expect(tombstones).toBe(1)
  expect(await world.differences(slowed)).toEqual([])
  await world.close()
}, 180_000)
