import { readFile } from 'node:fs/promises'
import { freePort } from '@tendon/platform/free-port.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, settingsOf } from './cdc-process.fixture.ts'
import { nobody } from './derive/known-tables.ts'
import type { CdcFeed } from './feed-supervisor.ts'
import { registry } from './registry.ts'
import { createWorld, startServers, type World } from './suites/replica-of-source.fixture.ts'
import { startToldReports } from './telling/told-reports.fixture.ts'

const servers = await startServers()
let world: World
let feed: CdcFeed
let settings: Record<string, string>

beforeAll(async () => {
  const schema = await readFile(new URL(import.meta.resolve('@tendon/sources/crm/schema.sql')), 'utf8')
  world = await createWorld(servers, schema, [...registry])
  await world.sql.query(
    `INSERT INTO prosthesis_models VALUES (1, 'one', 'hand', 1, 1.5, 2.50, '{}', '2024-01-01')`,
  )
  feed = world.newFeed()
  settings = settingsOf(world, servers.clickHouse)
})
afterAll(async () => {
  await world.close()
  await servers.remove()
})

const cdc = (...argv: string[]) => cdcWith({}, ...argv)
const cdcWith = (more: Record<string, string>, ...argv: string[]) => runCli({ ...settings, ...more }, ...argv)

test('apply and status, as people and as scripts read them', async () => {
  await world.warehouse.command('DROP DATABASE cdc SYNC')
  expect(await cdc('status')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /TENDON-CDC-027.*ClickHouse has no cdc|ClickHouse has no cdc.*TENDON-CDC-027/s,
    ),
  })
  await world.warehouse.command('DROP DATABASE warehouse SYNC')
  expect(await cdc('apply')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('public.customers is in place'),
  })
  expect(await cdc('status')).toMatchObject({ code: 0, stdout: expect.stringContaining('never run') })
  const early = await cdc('verify', '--timeout-ms', '50')
  expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining('TENDON-CDC-014') })

  feed.start()
  await feed.caughtUp()
  await expect.poll(() => feed.status().state, { timeout: 20_000 }).toBe('streaming')
  const status = JSON.parse((await cdc('status', '--json')).stdout)
  expect(status).toMatchObject({
    source: { timeline: 1 },
    slot: { active: true },
    tables: [{ dead_letters: 0 }, {}, {}],
  })
})

test('verify proves equality, names what differs, and heals it', async () => {
  feed.start()
  await feed.caughtUp()
  const equal = await cdc('verify', '--json')
  expect(equal.code).toBe(0)
  expect(JSON.parse(equal.stdout).tables).toContainEqual(
    expect.objectContaining({ table: 'public.prosthesis_models', rows: 1, replica_rows: 1, differences: [] }),
  )
  await world.warehouse.command(
    'ALTER TABLE crm.prosthesis_models UPDATE list_price = 9 WHERE 1 SETTINGS mutations_sync = 1',
  )
  expect(await cdc('verify')).toMatchObject({
    code: 3,
    stdout: expect.stringContaining('1 list_price: 2.50 at the source, 9.00 here'),
  })
  expect(await cdc('verify', 'prosthesis_models', '--repair')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^public.prosthesis_models: 1 row at .*, all equal .*, 1 repaired/),
    stderr: expect.stringContaining('comparing public.prosthesis_models again'),
  })
}, 180_000)

test('that nobody could be told of a repair is said, and how they are', async () => {
  await world.sql.query(`
    INSERT INTO customers (full_name, email, date_of_birth, address, locale, time_zone)
    VALUES ('Ada', 'ada@example.org', '1980-01-01', '{}', 'en', 'UTC')`)
  feed.start()
  await feed.caughtUp()
  await world.warehouse.command(
    "ALTER TABLE crm.customers UPDATE time_zone = 'Asia/Tokyo' WHERE 1 SETTINGS mutations_sync = 1",
  )
  const nobody = `http://127.0.0.1:${await freePort('127.0.0.1')}`
  const reports = { REPORTS_SERVICE_URL: nobody, OIDC_ISSUER: nobody, CDC_CLIENT_SECRET: 'secret' }
  expect(await cdcWith(reports, 'verify', 'customers', '--repair')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/resync.*TENDON-CDC-026/),
  })
  expect(await cdc('verify', 'customers')).toMatchObject({ code: 0 })
}, 60_000)

test('after a repair everybody is told, whoever saw the wrong row', async () => {
  const { rows: patients } = await world.sql.query<{ id: string }>(`
    INSERT INTO customers (full_name, email, date_of_birth, address, locale, time_zone)
    SELECT name, name || '@example.net', '1980-01-01', '{}', 'en', 'UTC' FROM (VALUES ('Grace'), ('Alan')) x (name)
    RETURNING id`)
  const [grace, alan] = patients.map(({ id }) => id)
  await world.sql.query(
    `INSERT INTO prostheses (serial_number, chip_id, customer_id, model_id, side, firmware_version, issued_at)
     VALUES ('s', 's', $1, 1, 'left', '1.0.0', '2024-01-01')`,
    [grace],
  )
  feed.start()
  await feed.caughtUp()
  // The source has never said that it is his.
  await world.warehouse.command(
    `ALTER TABLE crm.prostheses UPDATE customer_id = '${alan}' WHERE 1 SETTINGS mutations_sync = 1`,
  )
  const told = await startToldReports(world.warehouse)
  try {
    expect(await cdcWith(told.settings, 'verify', 'prostheses', '--repair')).toMatchObject({ code: 0 })
    expect([...told.reports().keys()]).toEqual(expect.arrayContaining([grace, alan]))
  } finally {
    await told.stop()
  }
}, 60_000)

test('resync and replay rebuild a replica', async () => {
  feed.start()
  await feed.caughtUp()
  await world.warehouse.command('TRUNCATE TABLE crm.prosthesis_models')
  const resynced = await cdc('resync', 'prosthesis_models', '--json')
  expect(resynced).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('✔ reading public.prosthesis_models'),
  })
  expect(JSON.parse(resynced.stdout)).toMatchObject({ table: 'public.prosthesis_models', rows: 1 })
  expect(await cdc('replay', 'prosthesis_models')).toMatchObject({
    code: 0,
    stdout: 'public.prosthesis_models is rebuilt from the log: 1 row\n',
  })
  await world.warehouse.command('TRUNCATE TABLE cdc.events')
  expect(await cdc('replay', 'prosthesis_models')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('TENDON-CDC-021'),
  })
})

test('what was taken out of the registry is carried no more', async () => {
  await world.sql.query('CREATE TABLE former (id integer PRIMARY KEY); INSERT INTO former VALUES (1)')
  await feed.stop()
  const before = world.newFeed({ entries: [...registry, { name: 'public.former', users: nobody }] })
  before.start()
  await before.caughtUp()
  await before.stop()
  feed = world.newFeed()
  expect(JSON.parse((await cdc('status', '--json')).stdout).advice).toContainEqual(
    expect.stringContaining('public.former is not in the registry any more'),
  )
  const planned: string[] = JSON.parse((await cdc('apply', '--dry-run', '--json')).stdout).steps
  expect(planned).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^CRM: ALTER PUBLICATION .* DROP TABLE .*former/),
      'ClickHouse: DROP TABLE IF EXISTS crm.`former` SYNC',
    ]),
  )
  expect(planned.join()).not.toContain('customers')
  expect(await cdc('apply')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('public.former is carried no more\n'),
  })
  expect(await cdc('apply', '--dry-run')).toMatchObject({ stdout: 'Everything is in place.\n' })
  expect(
    await world.rows(
      `SELECT name FROM system.tables WHERE database IN ('cdc', 'crm') AND name LIKE '%former%'`,
    ),
  ).toEqual([])
})

test('dead letters are listed and applied again', async () => {
  expect(await cdc('dead-letters', 'list')).toMatchObject({ code: 0, stdout: 'no dead letters\n' })
  await world.warehouse.insertRows('cdc.dead_letters', [
    {
      table: 'public.customers',
      version: 9,
      op: 'u',
      reason: 'not decoded',
      encoding: 'hex',
      message: '55aa',
    },
  ])
  const listed = await cdc('dead-letters', 'list', 'customers', '--json')
  expect(JSON.parse(listed.stdout)).toMatchObject({
    dead_letters: [{ reason: 'not decoded', message: '55aa' }],
  })
  // Of a table that is carried no more.
  await world.warehouse.insertRows('cdc.dead_letters', [
    { table: 'public.removed', version: 9, op: 'u', reason: 'it was', encoding: 'json', message: '{}' },
  ])
  expect(await cdc('dead-letters', 'list', 'removed')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('public.removed u: it was'),
  })
  expect(await cdc('dead-letters', 'retry', 'removed')).toMatchObject({ code: 64 })
  expect(await cdc('dead-letters', 'discard', 'public.removed')).toMatchObject({
    code: 0,
    stdout: '1 discarded\n',
  })
  expect(await cdc('dead-letters', 'list', 'removed')).toMatchObject({ code: 64 })
  expect(await cdc('dead-letters', 'retry')).toMatchObject({
    code: 3,
    stdout:
      '0 applied, 0 superseded by later changes, 0 failed again, 1 hold no row that could be applied: resync their tables\n',
  })
})

test('--help, and wrong usage', async () => {
  expect(await cdc('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('verify') })
  expect(await cdc('verify', '--help')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('CRM_DATABASE_URL'),
  })
  expect(await cdc('verify', 'no_such_table')).toMatchObject({ code: 64 })
  expect(await cdc()).toMatchObject({ code: 64, stderr: expect.stringContaining('verify') })
  expect(await cdc('mend')).toMatchObject({ code: 64 })
  expect(await cdc('status', '--no-such-option')).toMatchObject({ code: 64 })
  expect(await cdc('status', 'customers')).toMatchObject({ code: 64 })
  await world.sql.query('CREATE TABLE secrets (id integer PRIMARY KEY, phone text)')
  expect(await cdc('add', 'secrets', '--omit', 'phnoe')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('has no column phnoe'),
  })
  expect(await cdc('add', 'customers', '--omit', 'phone')).toMatchObject({ code: 64 })
  // A column that was left out and is gone by now is no reason to refuse.
  await world.warehouse.insertRows('cdc.registry', [
    { table: 'public.secrets', omit_columns: ['dropped'], types: {}, users: nobody },
  ])
  expect(await cdc('add', 'secrets', '--timeout-ms', '1')).toMatchObject({ code: 1 })
}, 180_000)
