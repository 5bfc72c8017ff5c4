import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'
import { seats, seatsEntries } from '../suites/seats-under-load.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

test('a table that has just got other columns is compared as soon as its replica has them too', async () => {
  const world = await createWorld(servers, seats, seatsEntries)
  await using opened = new AsyncDisposableStack()
  opened.defer(() => world.close())
  const entry = { table: 'public.seats', omit_columns: [], types: {}, users: seatsEntries[0]!.users }
  await world.warehouse.insertRows('cdc.registry', [entry])
  const first = world.newFeed()
  first.start()
  await first.caughtUp()
  await first.stop()
  await world.sql.query('ALTER TABLE seats ADD note text; ALTER TABLE seats RENAME holder TO "whose seat"')
  const settings = settingsOf(world, servers.clickHouse)
  expect(await runCli(settings, 'verify', 'seats', '--timeout-ms', '500')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('TENDON-CDC-011'),
  })
  const verifying = runCli(settings, 'verify', 'seats')
  const feed = world.newFeed()
  feed.start()
  opened.defer(() => feed.stop())
  expect(await verifying).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('all equal in 3 checksums'),
  })
})
