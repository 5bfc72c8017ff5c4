import { afterAll, expect, test } from 'vitest'
import { runCli, settingsOf } from '../cdc-process.fixture.ts'
import { nobody } from '../derive/known-tables.ts'
import { createWorld, startServers } from '../suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const ddl =
  'CREATE TABLE items (id integer PRIMARY KEY, name text); CREATE TABLE others (id integer PRIMARY KEY)'
const entries = [
  { name: 'public.items', users: nobody },
  { name: 'public.others', users: nobody },
]

/** Two tables that were added, as the CLI knows them. */
async function startWorld() {
  const world = await createWorld(servers, `${ddl}; INSERT INTO items VALUES (1, 'one')`, entries)
  await world.warehouse.insertRows(
    'cdc.registry',
    entries.map(({ name, users }) => ({ table: name, omit_columns: [], types: {}, users })),
  )
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const cdc = (...argv: string[]) => runCli(settingsOf(world, servers.clickHouse), ...argv)
  const [view] = await world.rows(
    "SELECT name FROM system.tables WHERE database = 'cdc' AND startsWith(name, 'apply items ')",
  )
  return { world, feed, cdc, dropView: `DROP VIEW cdc.\`${view!.name}\` SYNC` }
}

test('status and verify say that a replica or its view was dropped, beside what they know of the others', async () => {
  const { world, feed, cdc, dropView } = await startWorld()
  await feed.stop()
  const users = {
    items: 'SELECT name AS user_id FROM crm.items',
    others: 'SELECT name AS user_id FROM crm.others',
  }
  await world.warehouse.insertRows(
    'cdc.registry',
    Object.entries(users).map(([name, select]) => ({
      table: `public.${name}`,
      omit_columns: [],
      types: {},
      users: select,
    })),
  )
  for (const drop of [dropView, 'DROP TABLE crm.items SYNC']) {
    await world.warehouse.command(drop)
    const report = JSON.parse((await cdc('status', '--json')).stdout)
    expect(report.tables).toContainEqual(expect.objectContaining({ table: 'public.items', rows: null }))
    expect(report.tables).toContainEqual(expect.objectContaining({ table: 'public.others', rows: 0 }))
    expect(report.problems).toContainEqual({
      code: 'TENDON-CDC-035',
      detail: expect.stringContaining('crm.`items`'),
      help: expect.stringContaining('npm run cdc -- apply'),
    })
    // What reads the replica is right, once that is there again.
    const ofUsers = report.problems.filter(({ code }: { code: string }) => code === 'TENDON-CDC-024')
    expect(ofUsers).toEqual([
      expect.objectContaining({ detail: expect.stringContaining('Of public.others') }),
    ])
    expect(await cdc('verify', 'items')).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('TENDON-CDC-035'),
    })
    for (const command of ['resync', 'replay'])
      expect(await cdc(command, 'items')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('TENDON-CDC-035'),
      })
  }
  await world.close()
}, 180_000)

test('a running feed makes what was dropped again, and reads what passed it by', async () => {
  const { world, feed, dropView } = await startWorld()
  for (const [place, drop] of [dropView, 'DROP TABLE crm.items SYNC'].entries()) {
    await world.warehouse.command(drop)
    await world.sql.query(`INSERT INTO items VALUES (${place + 2}, 'passed by')`)
    const rows = () => world.rows('SELECT count() AS n FROM crm.items FINAL').catch(() => [])
    await expect.poll(rows, { timeout: 60_000 }).toEqual([{ n: String(place + 2) }])
    expect(await world.differences(feed)).toEqual([])
  }
  await world.close()
}, 180_000)

test('apply makes what was dropped again, and the feed that runs reads it', async () => {
  const { world, feed, cdc, dropView } = await startWorld()
  for (const [place, drop] of [dropView, 'DROP TABLE crm.items SYNC'].entries()) {
    await world.warehouse.command(drop)
    await world.sql.query(`INSERT INTO items VALUES (${place + 2}, 'passed by')`)
    expect(await cdc('apply')).toMatchObject({ code: 0 })
    const rows = () => world.rows('SELECT count() AS n FROM crm.items FINAL')
    await expect.poll(rows, { timeout: 60_000 }).toEqual([{ n: String(place + 2) }])
    expect(await world.differences(feed)).toEqual([])
  }
  await world.close()
}, 180_000)
