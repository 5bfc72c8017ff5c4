import { afterAll, expect, test } from 'vitest'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'
import { seats, seatsEntries } from '../suites/seats-under-load.fixture.ts'
import { atComparisonPoint } from '../verify/comparison-point.ts'
import { laterTruncates } from './truncate-replica.ts'

const servers = await startServers()
afterAll(() => servers.remove())

test('of the TRUNCATEs in the log, those are found that a moment of the source has not seen', async () => {
  const world = await createWorld(servers, seats, seatsEntries)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  await world.sql.query('TRUNCATE seats')
  const replica = await world.replica('public.seats')
  const seen = await atComparisonPoint(world.comparison(feed), replica, ({ visibility }) => visibility)
  expect(await laterTruncates(world.warehouse, replica, seen)).toEqual([])
  await world.sql.query(`INSERT INTO seats VALUES (1, 'row 1', 'x'); TRUNCATE seats`)
  await feed.caughtUp()
  const [later, ...others] = await laterTruncates(world.warehouse, replica, seen)
  expect(others).toEqual([])
  expect(Number(later!.tx_id)).toBeGreaterThan(0)
  await world.close()
}, 60_000)
