import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { namesMeant } from '../source/table-names.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

/** 63 bytes, of which ClickHouse makes 187 in the names of its files. */
const longest = `"${'ж'.repeat(31)}x"`
const names = ['"a.b".c', '"Odd Schema"."say ""hi"", you`\'\\"', `${longest}.${longest}`]

test('tables are added, compared and taken out by their names as PostgreSQL writes them', async () => {
  const world = await createWorld(
    servers,
    `CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE SCHEMA "Odd Schema"; CREATE SCHEMA ${longest};
     ${names.map((name) => `CREATE TABLE ${name} (id integer PRIMARY KEY); INSERT INTO ${name} VALUES (1)`).join(';')}; CREATE TABLE plain (id integer PRIMARY KEY)`,
    [],
  )
  await world.warehouse.insertRows('cdc.registry', [
    { table: 'public.plain', omit_columns: [], types: {}, users: nobody },
  ])
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const cdc = (...argv: string[]) => runCli(settingsOf(world, servers.clickHouse), ...argv)
  const added = await Promise.all(names.map((name) => cdc('add', name)))
  expect(added.map(({ stdout, stderr }) => stdout || stderr)).toEqual(
    names.map(() => expect.stringContaining(' is carried')),
  )
  for (const name of names) await world.sql.query(`INSERT INTO ${name} VALUES (2)`)
  await feed.caughtUp()
  const verified = JSON.parse((await cdc('verify', '--json')).stdout)
  const equal = (table: string) => expect.objectContaining({ table, rows: 2, replica_rows: 2, equal: true })
  expect(verified.tables).toEqual(
    expect.arrayContaining([
      equal('a.b.c'),
      equal('Odd Schema.say "hi", you`\'\\'),
      equal(`${longest}.${longest}`.replaceAll('"', '')),
    ]),
  )
  await world.sql.query('CREATE TABLE a."b.c" (id integer PRIMARY KEY)')
  expect(await cdc('verify', '"a.b".c')).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('"a"."b.c" and "a.b"."c" are both a.b.c in the log'),
  })
  expect(await cdc('remove', '"a.b".c')).toMatchObject({ code: 0 })
  const { rows } = await world.sql.query('SELECT schemaname FROM pg_publication_tables')
  expect(rows).toHaveLength(names.length)
  expect(rows).not.toContainEqual({ schemaname: 'a.b' })
  await world.close()
}, 120_000)

test.each([
  ['Orders', ['public.Orders', 'public.orders']],
  ['Sales.ÄRZTE', ['Sales.ÄRZTE', 'public.Sales.ÄRZTE', 'sales.Ärzte']],
  ['"Odd Schema".T', ['"Odd Schema".T', 'public."Odd Schema".T', 'Odd Schema.t']],
  ['"a.b"', ['"a.b"', 'public."a.b"', 'public.a.b']],
  ['"say ""hi"""', ['public."say ""hi"""', 'public.say "hi"']],
  ['two words', ['public.two words']],
])('%s may be %j', (text, names) => {
  expect(namesMeant(text)).toEqual(names)
})
