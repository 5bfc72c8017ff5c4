import { readFile } from 'node:fs/promises'
import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { registry } from '../registry.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const schema = await readFile(new URL(import.meta.resolve('@tendon/sources/crm/schema.sql')), 'utf8')

/** The CRM with tables that were added, and a feed that has read them. */
async function startWorld(ddl: string, names: string[]) {
  const world = await createWorld(servers, `${schema}; ${ddl}`, [...registry])
  for (const name of names) {
    const entry = { table: `public.${name}`, omit_columns: [], types: {}, users: nobody }
    await world.warehouse.insertRows('cdc.registry', [entry])
  }
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const settings = settingsOf(world, servers.clickHouse)
  const cdc = (...argv: string[]) => runCli(settings, ...argv)
  return { world, feed, cdc }
}

test('a table that the CRM has dropped is said in the same words by every command, with what to do', async () => {
  const { world, feed, cdc } = await startWorld(
    `CREATE TABLE kept (id integer PRIMARY KEY); CREATE TABLE gone (id integer PRIMARY KEY);
     CREATE SCHEMA "Old"; CREATE TABLE moved (id integer PRIMARY KEY);
     CREATE TABLE parted (id integer PRIMARY KEY) PARTITION BY RANGE (id);
     CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10)`,
    ['kept', 'gone', 'moved', 'parted'],
  )
  await world.sql.query(`INSERT INTO kept VALUES (1); DROP TABLE gone;
    ALTER TABLE moved SET SCHEMA "Old"; ALTER TABLE parted RENAME TO divided; ALTER TABLE part RENAME TO parted_part`)
  await feed.caughtUp()
  const said = expect.stringMatching(
    /^problem {3}TENDON-CDC-007: There is no table public.gone\.\n {10}what to do: .*cdc -- remove <table>/m,
  )
  expect(await cdc('status')).toMatchObject({ code: 0, stdout: said })
  const planned = await cdc('apply', '--dry-run')
  expect(planned).toMatchObject({ code: 0, stdout: said })
  const verified = await cdc('verify')
  expect(verified).toMatchObject({ code: 3, stdout: said })
  expect(verified.stdout).toContain('public.kept: 1 row ')
  const names = [
    ['moved', 'Old.moved'],
    ['parted', 'public.divided'],
  ] as const
  for (const [former, present] of names) {
    const renamed = `TENDON-CDC-007: There is no table public.${former}: it is called ${present} now.\n`
    for (const { stdout } of [planned, verified]) expect(stdout).toContain(renamed)
  }
  expect(await cdc('add', 'Old.moved')).toMatchObject({ code: 0 })
  expect(await Promise.all(names.map(([former]) => cdc('remove', former)))).toMatchObject([
    { code: 0 },
    { code: 0 },
  ])
  expect(JSON.parse((await cdc('verify', 'gone', '--json')).stdout)).toMatchObject({
    tables: [],
    problems: [{ code: 'TENDON-CDC-007' }],
  })
  expect((await cdc('verify', '--help')).stdout).toContain('3 when replicas differ or cannot be compared')
  expect(await cdc('remove', 'gone')).toMatchObject({ code: 0 })
  expect(await cdc('verify')).toMatchObject({ code: 0 })
  expect((await cdc('status')).stdout).not.toContain('public.gone')
  await feed.stop()
  await world.close()
}, 120_000)

test('generated columns that PostgreSQL does not publish are said, and refused where the CRM could not write any more', async () => {
  const virtual = 'GENERATED ALWAYS AS (n * 2) VIRTUAL'
  const { world, feed, cdc } = await startWorld(
    `CREATE TABLE carried (id integer PRIMARY KEY, n integer, twice integer ${virtual});
     CREATE TABLE added (LIKE carried INCLUDING ALL);
     CREATE TABLE whole (LIKE carried INCLUDING ALL);
     ALTER TABLE whole REPLICA IDENTITY FULL;
     INSERT INTO whole VALUES (1, 1)`,
    ['carried'],
  )
  const leftOut = (table: string) =>
    expect.stringMatching(
      RegExp(`advice {4}public.${table}.twice is generated, and not carried: it is VIRTUAL`),
    )
  expect(await cdc('status')).toMatchObject({ code: 0, stdout: leftOut('carried') })
  expect(await cdc('apply', '--dry-run')).toMatchObject({ code: 0, stdout: leftOut('carried') })
  expect(await cdc('add', 'added')).toMatchObject({ code: 0, stdout: leftOut('added') })
  expect(await cdc('add', 'added', '--omit', 'twice')).toMatchObject({
    code: 0,
    stdout: 'public.added is carried\n',
  })
  expect(await cdc('add', 'whole')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/The REPLICA IDENTITY FULL of public.whole has the generated column twice/),
  })
  // What PostgreSQL refuses of a published table.
  await world.sql.query('UPDATE whole SET n = 2')
  expect(await cdc('add', 'carried', '--omit', 'id')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('public.carried.id is of the key'),
  })
  await feed.stop()
  await world.close()
}, 120_000)

test('a table that would take the changes or the replica of another is refused, and the other goes on', async () => {
  const { world, feed, cdc } = await startWorld(
    `CREATE TABLE root (id integer PRIMARY KEY) PARTITION BY RANGE (id);
     CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
     CREATE SCHEMA a; CREATE TABLE a.b (id integer PRIMARY KEY); CREATE TABLE "a.b" (id integer PRIMARY KEY)`,
    ['leaf', 'a.b'],
  )
  const refused = (what: string) => ({ code: 1, stderr: expect.stringContaining(what) })
  expect(await cdc('add', 'root')).toMatchObject(refused('public.leaf is a partition of public.root'))
  expect(await cdc('add', 'a.b')).toMatchObject(refused('a.b would have the replica crm.`a.b`'))
  expect(await cdc('remove', 'leaf')).toMatchObject({ code: 0 })
  expect(await cdc('add', 'root')).toMatchObject({ code: 0 })
  expect(await cdc('add', 'leaf')).toMatchObject(refused('public.leaf is a partition of public.root'))
  await world.sql.query('INSERT INTO leaf VALUES (1)')
  expect(await cdc('verify', 'root')).toMatchObject({ code: 0, stdout: expect.stringContaining('1 row ') })
  await feed.stop()
  await world.close()
}, 120_000)
