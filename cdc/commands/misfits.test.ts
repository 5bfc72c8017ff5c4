import { readFile } from 'node:fs/promises'
import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { registry } from '../registry.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const schema = await readFile(new URL(import.meta.resolve('@tendon/sources/crm/schema.sql')), 'utf8')

test('rows that do not fit are said by who writes them, with where they are, and end it with 3', async () => {
  const ddl = 'CREATE TABLE prices (id integer PRIMARY KEY, price numeric NOT NULL)'
  const world = await createWorld(servers, `${schema}; ${ddl}`, [...registry])
  const entry = { table: 'public.prices', omit_columns: [], types: { price: 'Decimal(9, 2)' }, users: nobody }
  await world.warehouse.insertRows('cdc.registry', [entry])
  await world.sql.query('INSERT INTO prices VALUES (1, 1.5), (2, 2.5), (3, 12345678.5)')
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const settings = settingsOf(world, servers.clickHouse)
  const cdc = (...argv: string[]) => runCli(settings, ...argv)

  const where = '\\(npm run cdc -- dead-letters list public\\.prices\\)'
  expect(await cdc('resync', 'prices')).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(`: 2 of 3 rows; 1 became a dead letter ${where}\n$`),
  })
  const repair = await cdc('verify', 'prices', '--repair')
  expect(repair).toMatchObject({
    code: 3,
    stdout: expect.stringMatching(`1 keys differ \\(.*\\), 0 repaired; .* ${where}\n {4}3 row: there`),
  })
  // Nothing has changed of which somebody should be told.
  expect(repair.stderr).not.toContain('told')
  const { stdout } = await cdc('dead-letters', 'list', 'prices', '--json')
  expect(JSON.parse(stdout).dead_letters).toMatchObject([{ key: '{"id":3}' }])
  const status = JSON.parse((await cdc('status', '--json')).stdout)
  expect(status.dead_letters).toMatchObject({ total: 1 })
  expect(await cdc('dead-letters', 'retry', 'prices')).toMatchObject({
    code: 3,
    stdout: '0 applied, 0 superseded by later changes, 1 failed again\n',
  })

  await world.sql.query('UPDATE prices SET price = 3.5 WHERE id = 3')
  expect(await cdc('resync', 'prices')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(': 3 rows\n$'),
  })
  await feed.stop()
  await world.close()
}, 180_000)
