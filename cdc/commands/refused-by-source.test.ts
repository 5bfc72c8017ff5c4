import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody, readKnownTables } from '../derive/known-tables.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const entry = (name: string) => ({ name, users: nobody })

async function startWorld(ddl: string) {
  const world = await createWorld(servers, `CREATE TABLE kept (id integer PRIMARY KEY); ${ddl}`, [
    entry('public.kept'),
  ])
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  return { world, feed }
}

test.each([
  ['an UNLOGGED table', 'CREATE UNLOGGED TABLE fast (id integer PRIMARY KEY)'],
  [
    'a table with an UNLOGGED partition',
    `CREATE TABLE fast (id integer PRIMARY KEY) PARTITION BY RANGE (id);
     CREATE UNLOGGED TABLE fast_low PARTITION OF fast FOR VALUES FROM (0) TO (9)`,
  ],
])(
  '%s is refused before it is written down, and where it is, the others go on',
  async (_, ddl) => {
    const { world, feed } = await startWorld(ddl)
    const cdc = (...argv: string[]) => runCli(settingsOf(world, servers.clickHouse), ...argv)
    expect(await cdc('add', 'fast')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/public.fast or a partition of it is UNLOGGED.*TENDON-CDC-029/s),
    })
    expect(await readKnownTables(world.warehouse, [])).toEqual([])

    // As it was before there was a check, or with a partition of later.
    await feed.stop()
    await world.warehouse.insertRows('cdc.registry', [
      { table: 'public.fast', omit_columns: [], types: {}, users: nobody },
    ])
    const later = world.newFeed()
    later.start()
    await world.sql.query('INSERT INTO kept VALUES (1)')
    await later.caughtUp()
    expect(await world.rows('SELECT id FROM crm.kept FINAL')).toEqual([{ id: 1 }])
    expect((await cdc('status')).stdout).toMatch(/^problem {3}TENDON-CDC-029: public.fast .* is UNLOGGED/m)
    await world.close()
  },
  120_000,
)

test('a login that owns neither publication nor tables is told the statement, and the others go on', async () => {
  const { world, feed } = await startWorld(`
    CREATE TABLE other (id integer PRIMARY KEY); CREATE TABLE hidden (id integer PRIMARY KEY);
    CREATE SCHEMA "Odd"; CREATE TABLE "Odd"."T" (id integer PRIMARY KEY);
    CREATE TABLE partial (id integer PRIMARY KEY, n integer)`)
  await feed.stop()
  await world.sql.query(`
    CREATE ROLE reader LOGIN REPLICATION PASSWORD 'reader';
    GRANT SELECT ON kept, other, partial TO reader;
    ALTER PUBLICATION test_publication ADD TABLE hidden, "Odd"."T", partial (id)`)
  const asReader = new URL(world.url)
  asReader.username = 'reader'
  asReader.password = 'reader'
  const settings = { ...settingsOf(world, servers.clickHouse), CRM_DATABASE_URL: asReader.href }
  const cdc = (...argv: string[]) => runCli(settings, ...argv)

  expect(await cdc('add', 'hidden')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/may not SELECT from public.hidden.*TENDON-CDC-030/s),
  })
  const grants = 'GRANT USAGE ON SCHEMA "Odd" TO reader; GRANT SELECT ON "Odd"."T" TO reader'
  expect((await cdc('add', 'Odd.T')).stderr).toContain(`may not SELECT from Odd.T. The owner can: ${grants}`)
  const statement = `ALTER PUBLICATION "test_publication" ADD TABLE "public"."other"`
  const added = await cdc('add', 'other')
  expect(added).toMatchObject({ code: 1, stderr: expect.stringContaining('TENDON-CDC-015') })
  expect(added.stderr).toContain(statement)
  expect((await cdc('add', 'partial')).stderr).toContain(
    `ALTER PUBLICATION "test_publication" DROP TABLE "public"."partial"; ALTER PUBLICATION "test_publication" ADD TABLE "public"."partial"`,
  )
  expect(await readKnownTables(world.warehouse, [])).toEqual([])

  const entries = [entry('public.kept'), entry('public.other')]
  for (const table of ['public.other', 'public.hidden'])
    await world.warehouse.insertRows('cdc.registry', [{ table, omit_columns: [], types: {}, users: nobody }])
  const reading = world.newFeed({ entries, crmDatabaseUrl: asReader.href })
  reading.start()
  await world.sql.query('INSERT INTO kept VALUES (1)')
  await reading.caughtUp()
  expect(await world.rows('SELECT id FROM crm.kept FINAL')).toEqual([{ id: 1 }])
  const { stdout } = await cdc('status')
  expect(stdout).toContain(`TENDON-CDC-015: public.other is not in the publication: the user may not add it`)
  expect(stdout).toContain(statement)
  expect(stdout).toContain('TENDON-CDC-030: reader may not SELECT from public.hidden')

  // Once the owner has run it, the feed goes on by itself.
  await world.sql.query(`INSERT INTO other VALUES (7); ${statement}`)
  const other = () => world.rows('SELECT id FROM crm.other FINAL').catch(() => [])
  await expect.poll(other, { timeout: 30_000 }).toEqual([{ id: 7 }])
  await world.close()
}, 120_000)
