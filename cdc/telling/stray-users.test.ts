import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { cdcErrors } from '../errors.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'
import { createInvalidate } from './invalidate.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const ddl = `
  CREATE TABLE kept (id integer PRIMARY KEY);
  CREATE TABLE appointments (id integer PRIMARY KEY, customer_id text)`
const byCustomer = `
  SELECT DISTINCT JSONExtractString(row, 'customer_id') AS user_id FROM cdc.events
  WHERE table = 'public.appointments' AND key IN (SELECT key FROM changed_keys)`

const { usersRefused, tellingFails, tellingRefused, strayUserIds } = cdcErrors
const tellingCodes = [usersRefused, tellingFails, tellingRefused, strayUserIds].map(({ code }) => code)

/** Asking is a process of its own. */
const isSaid = { timeout: 60_000, interval: 500 }

async function startWorld() {
  const world = await createWorld(servers, ddl, [{ name: 'public.kept', users: nobody }])
  const cdc = (...argv: string[]) => runCli(settingsOf(world, servers.clickHouse), ...argv)
  /** Of telling alone: the tables that are declared in code are not in this database. */
  const problems = async (): Promise<{ code: string; detail: string }[]> => {
    const { stdout } = await cdc('status', '--json')
    return JSON.parse(stdout).problems.filter(({ code }: { code: string }) => tellingCodes.includes(code))
  }
  return { world, cdc, problems }
}

test('a value that is no UUID concerns nobody, everybody else is told, and status says it', async () => {
  const { world, cdc, problems } = await startWorld()
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  expect(await cdc('add', 'appointments', '--users', byCustomer)).toMatchObject({ code: 0 })
  const ada = randomUUID()
  await world.sql.query(
    `INSERT INTO appointments VALUES (1, 'abc'), (2, ''), (3, NULL), (4, upper('${ada}')), (5, '${ada}x')`,
  )
  await feed.caughtUp()
  expect(world.invalidated.filter((call) => call.length > 0)).toEqual([[ada]])
  expect(await problems()).toEqual([
    expect.objectContaining({
      code: 'TENDON-CDC-038',
      detail: expect.stringMatching(/^Of public.appointments: 2 of the values/),
    }),
  ])

  // A column that may be empty is nothing to speak of.
  const empty = `${byCustomer} AND length(user_id) IN (0, 36)`
  expect(await cdc('add', 'appointments', '--users', empty)).toMatchObject({ code: 0 })
  expect(await problems()).toEqual([])
  await world.close()
}, 240_000)

test('what gives no ids of users is refused before it is written down', async () => {
  const { world, cdc } = await startWorld()
  const refused: [string, RegExp][] = [
    ['SELECT 1 AS user_id', /user_id is of type UInt8, .*JSONExtractString.*TENDON-CDC-024/s],
    ['SELECT [key] AS user_id FROM changed_keys', /Array\(String\).*TENDON-CDC-024/s],
    ['SELECT 1, 2 AS b', /^Of public.appointments: it has no column user_id; it has: 1, b\.\n/],
    // ClickHouse's words once, of nothing but this SELECT, and one way out.
    [
      'SELECT owner AS user_id FROM changed_keys',
      /^Of [^\n]*`owner` in scope WITH[^\n]*\n[^\n]*-CDC-024\)\n$/,
    ],
  ]
  for (const [users, expected] of refused) {
    expect(await cdc('add', 'appointments', '--users', users)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(expected),
    })
  }
  expect(await world.rows('SELECT table FROM cdc.registry')).toEqual([])
  await world.close()
}, 60_000)

test('a number as the id of a user, written down before it was refused, is said and holds up nobody', async () => {
  const { world, problems } = await startWorld()
  await world.warehouse.insertRows('cdc.registry', [
    { table: 'public.appointments', omit_columns: [], types: {}, users: 'SELECT 1 AS user_id' },
  ])
  const feed = world.newFeed()
  feed.start()
  await world.sql.query(`INSERT INTO appointments VALUES (1, 'abc')`)
  await feed.caughtUp()
  expect(await problems()).toContainEqual(
    expect.objectContaining({ code: 'TENDON-CDC-024', detail: expect.stringContaining('UInt8') }),
  )
  await world.close()
}, 120_000)

test('why a position stands is said: reports-service is away, or refuses, or a SELECT fails at some value', async () => {
  const { world, cdc, problems } = await startWorld()
  let status = 400
  const reports = createServer((_, response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json' })
    response.end(JSON.stringify(status === 200 ? { invalidated: 1 } : { detail: 'not in these words' }))
  })
  await new Promise<void>((resolve) => reports.listen(0, '127.0.0.1', resolve))
  const { port } = reports.address() as AddressInfo
  const feed = world.newFeed({
    invalidate: createInvalidate(`http://127.0.0.1:${port}`, async () => 'token'),
  })
  await world.warehouse.insertRows('cdc.registry', [
    { table: 'public.appointments', omit_columns: [], types: {}, users: byCustomer },
  ])
  feed.start()
  await feed.caughtUp()
  const position = async () => (await world.rows('SELECT lsn FROM cdc.positions FINAL'))[0]?.lsn
  // Where a first snapshot begins is stored by and by.
  await expect.poll(position).toBeDefined()
  const before = await position()

  await world.sql.query(`INSERT INTO appointments VALUES (1, '${randomUUID()}')`)
  const refused = { code: 'TENDON-CDC-037', detail: expect.stringMatching(/status 400.*not in these words/) }
  await expect.poll(problems, isSaid).toEqual([expect.objectContaining(refused)])
  expect(await cdc('status')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^problem {3}TENDON-CDC-037: POST/m),
  })
  expect(await cdc('verify', 'appointments', '--timeout-ms', '50')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/It cannot tell.*TENDON-CDC-037.*TENDON-CDC-014/s),
  })
  status = 503
  const away = { code: 'TENDON-CDC-036', detail: expect.stringContaining('status 503') }
  await expect.poll(problems, isSaid).toEqual([expect.objectContaining(away)])
  expect(await position()).toBe(before)
  status = 200
  await feed.caughtUp()
  await expect.poll(problems, isSaid).toEqual([])

  // It is taken as long as there is no such value.
  const parsing = byCustomer
    .replace('SELECT DISTINCT', 'SELECT DISTINCT toUUID(')
    .replace(') AS user_id', ')) AS user_id')
  expect(await cdc('add', 'appointments', '--users', parsing)).toMatchObject({ code: 0 })
  await world.sql.query(`INSERT INTO appointments VALUES (2, 'abc')`)
  const atValue = { code: 'TENDON-CDC-024', detail: expect.stringMatching(/public.appointments: .*UUID/) }
  await expect.poll(problems, isSaid).toEqual([expect.objectContaining(atValue)])
  expect(await cdc('add', 'appointments', '--users', byCustomer)).toMatchObject({ code: 0 })
  await feed.caughtUp()
  await new Promise((resolve) => reports.close(resolve))
  await world.close()
}, 240_000)
