import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

test('what finds the users of another table is not taken away, and if it is gone, status says so', async () => {
  const world = await createWorld(
    servers,
    `CREATE TABLE kept (id integer PRIMARY KEY);
     CREATE TABLE slots (id integer PRIMARY KEY, owner text, note text);
     CREATE TABLE appts (id integer PRIMARY KEY, slot integer);
     INSERT INTO slots VALUES (7, 'ada', 'n');`,
    [{ name: 'public.kept', users: nobody }],
  )
  const users = `SELECT owner AS user_id FROM crm.slots FINAL
    WHERE id IN (SELECT JSONExtract(key, 'id', 'Int32') FROM changed_keys)`
  const added = (table: string, of: string) =>
    world.warehouse.insertRows('cdc.registry', [{ table, omit_columns: [], types: {}, users: of }])
  await added('public.slots', nobody)
  await added('public.appts', users)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const cdc = (...argv: string[]) => runCli(settingsOf(world, servers.clickHouse), ...argv)
  expect((await cdc('status')).stdout).not.toContain('TENDON-CDC-024')

  expect(await cdc('remove', 'slots')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/That of public.appts reads crm.slots.*TENDON-CDC-024/s),
  })
  await world.sql.query(`INSERT INTO appts VALUES (7, 7)`)
  await feed.caughtUp()
  expect(world.invalidated.flat()).toContain('ada')

  // The feed would read it whole, and the column were gone.
  await world.sql.query('ALTER TABLE slots DROP COLUMN owner, ALTER note TYPE integer USING 1')
  expect(await cdc('resync', 'slots')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/That of public.appts reads owner of crm.slots/),
  })
  await world.sql.query(`INSERT INTO appts VALUES (8, 7); INSERT INTO kept VALUES (1)`)
  await expect
    .poll(
      () =>
        feed.caughtUp().then(
          () => true,
          () => false,
        ),
      { timeout: 40_000 },
    )
    .toBe(true)
  expect(await world.rows('SELECT id FROM crm.kept FINAL')).toEqual([{ id: 1 }])

  await feed.stop()
  await world.warehouse.command('ALTER TABLE crm.slots RENAME COLUMN owner TO holder')
  expect((await cdc('status')).stdout).toMatch(/^problem {3}TENDON-CDC-024: Of public.appts: .*owner/m)
  // Nobody reads it any more.
  await added('public.appts', nobody)
  expect(await cdc('remove', 'slots')).toMatchObject({ code: 0 })
  await world.close()
}, 120_000)
