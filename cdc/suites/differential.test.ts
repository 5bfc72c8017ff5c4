import type { Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseErrors } from '@tendon/warehouse/errors.ts'
import fc from 'fast-check'
import type pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import type { CdcFeed } from '../feed-supervisor.ts'
import {
  randomEntries,
  randomTables,
  randomTransaction,
  runTransaction,
  type Transaction,
} from './random-changes.fixture.ts'
import { createWorld, startServers, type World } from './replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

/** What may happen between two transactions. */
const incident = fc.constantFrom(
  'the feed restarts',
  'ClickHouse stores changes and its answer is lost',
  'the feed dies after changes are stored and before the position is',
  'PostgreSQL ends the connection',
  'the slot is dropped',
)

const step = fc.oneof({ weight: 15, arbitrary: randomTransaction }, { weight: 1, arbitrary: incident })

/** A warehouse that can be made to lose an answer, or to take no more positions. */
function withFaults(warehouse: Warehouse) {
  const faults = { answersToLose: 0, takesPositions: true }
  const faulty: Warehouse = {
    ...warehouse,
    async insertLines(...insert) {
      await warehouse.insertLines(...insert)
      if (faults.answersToLose-- > 0) throw warehouseErrors.unavailable('The answer was lost.')
    },
    async insertRows(table, rows) {
      if (table === 'cdc.positions' && !faults.takesPositions) {
        throw warehouseErrors.unavailable('The feed dies here.')
      }
      await warehouse.insertRows(table, rows)
    },
  }
  return { faults, faulty }
}

async function newestStored(world: World): Promise<bigint> {
  const [row] = await world.rows('SELECT max(version) AS version FROM cdc.events')
  return BigInt(String(row!.version))
}

/** Lives through steps, with the feed of the moment. */
async function liveThrough(world: World, steps: (Transaction | string)[]): Promise<CdcFeed> {
  const { faults, faulty } = withFaults(world.warehouse)
  let feed = world.newFeed({ warehouse: faulty })
  feed.start()
  const restart = async (between?: () => Promise<unknown>) => {
    await feed.stop()
    await between?.()
    faults.takesPositions = true
    feed = world.newFeed({ warehouse: faulty })
    feed.start()
  }
  const slot = `(SELECT slot_name FROM pg_replication_slots WHERE database = current_database())`
  for (const one of steps) {
    if (typeof one !== 'string') await runTransaction(world.sql, one)
    else if (one.startsWith('the feed restarts')) await restart()
    else if (one.startsWith('ClickHouse stores')) faults.answersToLose = 1
    else if (one.startsWith('the feed dies')) {
      await feed.caughtUp()
      faults.takesPositions = false
      const before = await newestStored(world)
      await world.sql.query('INSERT INTO notes VALUES (99, 1) ON CONFLICT (id) DO UPDATE SET n = notes.n + 1')
      await expect.poll(() => newestStored(world), { interval: 10, timeout: 10_000 }).toBeGreaterThan(before)
      await restart()
    } else if (one.startsWith('PostgreSQL')) {
      await world.sql.query(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = ${slot} AND active`,
      )
    } else await restart(() => dropSlot(world.sql))
  }
  return feed
}

/** The server notices only after a moment that the feed has gone. */
async function dropSlot(sql: pg.Client): Promise<void> {
  const drop = () =>
    sql.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()',
    )
  await expect
    .poll(
      () =>
        drop().then(
          () => true,
          () => false,
        ),
      { interval: 10, timeout: 10_000 },
    )
    .toBe(true)
}

test('after any mix of changes and incidents, every replica equals its source', async () => {
  const world = await createWorld(servers, randomTables, randomEntries)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 40 }), async (steps) => {
      const feed = await liveThrough(world, steps)
      expect(await world.differences(feed)).toEqual([])
      await feed.stop()
    }),
    { numRuns: Number(process.env.CDC_TEST_RUNS ?? 8), endOnFailure: true },
  )
  expect(await world.rows('SELECT reason FROM cdc.dead_letters')).toEqual([])
  // No feed has left a connection behind.
  const connections = () =>
    world.sql
      .query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'tendon-cdc'`)
      .then(({ rows }) => rows[0].n)
  await expect.poll(connections, { timeout: 10_000 }).toBe(1)
  await world.close()
  // It takes 70 s beside others on two cores.
}, 180_000)
