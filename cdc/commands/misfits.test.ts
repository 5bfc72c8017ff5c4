import { readFile } from 'node:fs/promises'
import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { registry } from '../registry.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const schema = await readFile(new URL(import.meta.resolve('@tendon/sources/crm/schema.sql')), 'utf8')

test('rows that do not fit are said by who writes them, with where they are, and end it with 3', async () => {
  const ddl = 'CREATE TABLE prices (id integer PRIMARY KEY, price numeric NOT NULL)'
  const world = await createWorld(servers, `${schema}; ${ddl}`, [...registry])
  await world.sql.query('INSERT INTO prices VALUES (1, 1.5), (2, 2.5), (3, 12345678.5)')
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const settings = settingsOf(world, servers.clickHouse)
  const cdc = (...argv: string[]) => runCli(settings, ...argv)

  const added = await cdc('add', 'prices', '--types', 'price=Decimal(9, 2)')
  const where = '\\(npm run cdc -- dead-letters list public\\.prices\\)'
  expect(added).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(
      `^public.prices is carried, and of its rows 1 became a dead letter ${where}\n$`,
    ),
  })
  expect(await cdc('resync', 'prices')).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(`: 2 of 3 rows; 1 became a dead letter ${where}\n$`),
  })
  const repair = await cdc('verify', 'prices', '--repair')
  expect(repair).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(`1 key differs \\(.*\\), 0 repaired; .* ${where}\n {4}3 row: there`),
  })
  // Nothing has changed of which somebody should be told.
  expect(repair.stderr).not.toContain('told')
  const { stdout } = await cdc('dead-letters', 'list', 'prices', '--json')
  expect(JSON.parse(stdout).dead_letters).toMatchObject([{ key: '{"id":3}' }])
  const status = JSON.parse((await cdc('status', '--json')).stdout)
  expect(status.dead_letters).toMatchObject({ total: 1 })
  const retried = await cdc('dead-letters', 'retry', 'prices')
  expect(retried).toMatchObject({
    code: 3,
    stdout: '0 applied, 0 superseded by later changes, 1 failed again\n',
  })
  expect(retried.stderr).not.toContain('told')

  await world.sql.query('UPDATE prices SET price = 3.5 WHERE id = 3')
  expect(await cdc('resync', 'prices')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(': 3 rows\n$'),
  })
  await feed.stop()
  await world.close()
}, 180_000)
