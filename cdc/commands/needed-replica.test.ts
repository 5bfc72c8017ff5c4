import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

test('what finds the users of another table is not taken away, and if it is gone, status says so', async () => {
  const ada = randomUUID()
  const world = await createWorld(
    servers,
    `CREATE TABLE kept (id integer PRIMARY KEY);
     CREATE TABLE slots (id integer PRIMARY KEY, owner text, note text);
     CREATE TABLE appts (id integer PRIMARY KEY, slot integer);
     INSERT INTO slots VALUES (7, '${ada}', 'n');`,
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
  expect(world.invalidated.flat()).toContain(ada)

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
  // It may be asked again, of other values, and reads the replica then as before.
  await added('public.appts', `${users} AND (SELECT throwIf(count() > 0) FROM crm.slots) = 0`)
  expect(await cdc('remove', 'slots')).toMatchObject({ code: 1, stdout: '' })
  await added('public.appts', users)
  await world.warehouse.command('ALTER TABLE crm.slots RENAME COLUMN owner TO holder')
  expect((await cdc('status')).stdout).toMatch(/^problem {3}TENDON-CDC-024: Of public.appts: .*owner/m)
  // Nobody reads it any more.
  await added('public.appts', nobody)
  expect(await cdc('remove', 'slots')).toMatchObject({ code: 0 })
  await world.close()
}, 120_000)

test('a replica that views or dictionaries of ClickHouse read stays, and they are named', async () => {
  const world = await createWorld(
    servers,
    `CREATE TABLE kept (id integer PRIMARY KEY); CREATE TABLE "slot's" (id integer PRIMARY KEY, owner text)`,
    [{ name: 'public.kept', users: nobody }],
  )
  await world.warehouse.insertRows('cdc.registry', [
    { table: "public.slot's", omit_columns: [], types: {}, users: nobody },
  ])
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const replica = "crm.`slot's`"
  const objects = {
    owners: `CREATE VIEW reports.owners AS SELECT k.id FROM crm.kept k JOIN (SELECT * FROM ${replica} FINAL) s USING (id)`,
    counts: `CREATE MATERIALIZED VIEW reports.counts ENGINE = SummingMergeTree ORDER BY id AS SELECT id, 1 AS n FROM ${replica}`,
    names: `CREATE DICTIONARY reports.names (id UInt64, owner String) PRIMARY KEY id
      SOURCE(CLICKHOUSE(DB 'crm' TABLE 'slot\\'s')) LAYOUT(FLAT()) LIFETIME(0)`,
    others: `CREATE VIEW reports.others AS SELECT 'slot\\'s', * FROM crm.kept`,
  }
  for (const statement of Object.values(objects)) await world.warehouse.command(statement)
  const cdc = (...argv: string[]) => runCli(settingsOf(world, servers.clickHouse), ...argv)
  const refused = await cdc('remove', "slot's")
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('TENDON-CDC-034') })
  const named = Object.keys(objects).filter((name) => refused.stderr.includes(`reports.${name}`))
  expect(named).toEqual(['owners', 'counts', 'names'])
  await world.warehouse.command('DROP VIEW reports.owners')
  await world.warehouse.command('DROP VIEW reports.counts')
  await world.warehouse.command('DROP DICTIONARY reports.names')
  expect(await cdc('remove', "slot's")).toMatchObject({ code: 0 })
  expect(await world.rows("SELECT name FROM system.tables WHERE name = 'slot\\'s'")).toEqual([])
  await world.close()
}, 60_000)
