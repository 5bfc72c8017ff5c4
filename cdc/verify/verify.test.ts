import { afterAll, expect, test } from 'vitest'
import { everyTypeEntries, everyTypeTables, insertEveryValue } from '../suites/every-type.fixture.ts'
import { createWorld, startServers, type World, withConnection } from '../suites/replica-of-source.fixture.ts'
import { seats, seatsEntries, underLoad } from '../suites/seats-under-load.fixture.ts'
import { isEqual, verifyTable } from './verify.ts'

const servers = await startServers()
afterAll(() => servers.remove())

async function started(ddl: string, of = seatsEntries) {
  const world = await createWorld(servers, ddl, of)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  return { world, feed }
}

/** Changes a replica behind the feed's back. */
const tamper = (world: World, sql: string) =>
  world.warehouse.command(`ALTER TABLE crm.${sql} SETTINGS mutations_sync = 1`)

test('a wrong value of any type is named, with its column, and healed', async () => {
  const { world, feed } = await started(everyTypeTables, everyTypeEntries)
  // More rows than columns; each time there is one with NULLs.
  const times = 10
  for (let n = 0; n < times; n += 1) await insertEveryValue(world.sql, n * 100)
  const comparison = { ...world.comparison(feed), replica: await world.replica('public.everything') }
  const keys = (await world.sql.query('SELECT key FROM everything WHERE small IS NOT NULL ORDER BY key')).rows
  expect(await verifyTable(comparison)).toMatchObject({ differing_keys: 0, rows: keys.length + times })

  // Each column is wrong in a row of its own.
  const columns = comparison.replica.columns.map(({ name }) => name).filter((name) => name !== 'key')
  const wrong = columns.map((name, place) => ({ name, key: keys[place].key }))
  const updates = wrong.map(({ name, key }) => `\`${name}\` = if(key = ${key}, NULL, \`${name}\`)`)
  await tamper(world, `everything UPDATE ${updates.join(', ')} WHERE 1`)
  const verdict = await verifyTable(comparison)
  expect(verdict.columns.filter(({ equal }) => equal).map(({ column }) => column)).toEqual(['key'])
  const named = verdict.differences.map(({ key, column }) => `${key.join()} ${column}`)
  expect(named.toSorted()).toEqual(wrong.map(({ name, key }) => `${key} ${name}`).toSorted())

  await verifyTable({ ...comparison, repair: true })
  expect((await verifyTable(comparison)).differing_keys).toBe(0)
  await world.close()
})

test('rows that are missing, too many or wrong are named, and healed through the log', async () => {
  const { world, feed } = await started(seats)
  const comparison = { ...world.comparison(feed), replica: await world.replica('public.seats') }
  const equal = await verifyTable(comparison)
  expect(equal).toMatchObject({ rows: 5000, replica_rows: 5000, differing_keys: 0, differences: [] })
  expect(equal.columns).toMatchObject([
    { column: 'id, row', equal: true },
    { column: 'holder', equal: true },
  ])

  await tamper(world, `seats DELETE WHERE id = 4711`)
  await tamper(world, `seats UPDATE holder = 'somebody' WHERE id = 7`)
  await world.warehouse.command(`INSERT INTO crm.seats VALUES (6000, 'row 1', 'nobody', 5, 0)`)
  // Two that changed places: the sums of their values alone would be the same.
  await tamper(world, `seats UPDATE holder = if(id = 1, 'holder 2', 'holder 1') WHERE id IN (1, 2)`)
  const differing = await verifyTable(comparison)
  expect(differing).toMatchObject({ rows: 5000, replica_rows: 5000, differing_keys: 5, has_more: false })
  expect(differing.differences.toSorted((a, b) => Number(a.key[0]) - Number(b.key[0]))).toEqual([
    { key: ['1', 'row 1'], column: 'holder', source: 'holder 1', replica: 'holder 2' },
    { key: ['2', 'row 2'], column: 'holder', source: 'holder 2', replica: 'holder 1' },
    { key: ['7', 'row 0'], column: 'holder', source: 'holder 7', replica: 'somebody' },
    { key: ['4711', 'row 0'], column: 'row', source: 'there', replica: undefined },
    { key: ['6000', 'row 1'], column: 'row', source: undefined, replica: 'there' },
  ])

  expect(await verifyTable({ ...comparison, repair: true })).toMatchObject({ repaired_keys: 5 })
  expect((await verifyTable(comparison)).differing_keys).toBe(0)
  // The log says the same as the replica, and later changes win over what was repaired.
  await world.sql.query(
    `UPDATE seats SET holder = 'later' WHERE id = 7; INSERT INTO seats VALUES (6000, 'row 1', 'x')`,
  )
  expect((await verifyTable(comparison)).differing_keys).toBe(0)
  expect(await world.rows(`SELECT holder FROM crm.seats FINAL WHERE id IN (7, 6000) ORDER BY id`)).toEqual([
    { holder: 'later' },
    { holder: 'x' },
  ])
  await world.close()
})

test('a table that differs everywhere is said to, and no more keys are named than asked for', async () => {
  const { world, feed } = await started(seats)
  await tamper(world, `seats UPDATE holder = upper(holder) WHERE 1`)
  const comparison = { ...world.comparison(feed), replica: await world.replica('public.seats') }
  const verdict = await verifyTable({ ...comparison, limit: 3 })
  expect(verdict).toMatchObject({ has_more: true, columns: [{ equal: true }, { equal: false }] })
  expect(verdict.differences).toHaveLength(3)
  expect(await verifyTable({ ...comparison, limit: 3, repair: true })).toMatchObject({ repaired_keys: 5000 })
  expect((await verifyTable(comparison)).differing_keys).toBe(0)
  await world.close()
})

test('sums that differ at every position are said to, although no key does', async () => {
  const { world, feed } = await started(seats)
  await world.warehouse.command(`CREATE TABLE crm.twice AS crm.seats
    ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY (id, row, _version)`)
  await world.warehouse.command(`INSERT INTO crm.twice SELECT * FROM crm.seats`)
  await world.warehouse.command(
    `INSERT INTO crm.twice SELECT * REPLACE (_version + 1 AS _version) FROM crm.seats WHERE id = 7`,
  )
  await world.warehouse.command('EXCHANGE TABLES crm.seats AND crm.twice')
  const verdict = await verifyTable({
    ...world.comparison(feed),
    replica: await world.replica('public.seats'),
  })
  expect(verdict).toMatchObject({ equal: false, rows: 5000, replica_rows: 5001, differing_keys: 0 })
  expect(verdict.columns).toMatchObject([{ equal: false }, { equal: false }])
  expect(isEqual([verdict])).toBe(false)
  await world.warehouse.command('DROP TABLE crm.twice SYNC')
  await world.close()
})

test('what changes after the position is compared as it was there', async () => {
  const { world, feed } = await started(seats)
  const parts = world.comparison(feed)
  const replica = await world.replica('public.seats')
  let positions = 0
  const caughtUp = async () => {
    // The source has gone on when its replica is read: all of these keys are other ones by then.
    if (++positions === 1) {
      await world.sql.query(`
        UPDATE seats SET holder = 'new' WHERE id <= 100; DELETE FROM seats WHERE id BETWEEN 101 AND 200;
        INSERT INTO seats VALUES (7000, 'row 0', 'new'); UPDATE seats SET id = id + 10000 WHERE id BETWEEN 201 AND 300;
        DELETE FROM seats WHERE id = 301; INSERT INTO seats VALUES (301, 'row 0', 'back again')`)
    }
    await feed.caughtUp()
  }
  const verdict = await verifyTable({ ...parts, caughtUp, replica })
  expect(verdict).toMatchObject({ rows: 5000, replica_rows: 5000, differing_keys: 0 })
  // One position was enough: nothing had to be looked into.
  expect(positions).toBe(1)
  await world.close()
})

test('a transaction whose commit is in the log already, and that the source does not show yet', async () => {
  const { world, feed } = await started(seats)
  const parts = { ...world.comparison(feed), replica: await world.replica('public.seats') }
  await world.sql.query(`SET synchronous_commit = local`)
  await world.sql.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
  await world.sql.query('SELECT pg_reload_conf()')
  await withConnection(world.url, async (waiting) => {
    const [{ pid }] = (await waiting.query('SELECT pg_backend_pid() AS pid')).rows
    const commit = waiting.query(`UPDATE seats SET holder = 'committed' WHERE id <= 50`)
    const count = async () =>
      (await world.rows(`SELECT count() AS n FROM crm.seats FINAL WHERE holder = 'committed'`))[0]
    await expect.poll(count, { timeout: 10_000 }).toEqual({ n: '50' })
    // One that came later and is over: the snapshot has to name the first as still running.
    await world.sql.query(`UPDATE seats SET holder = 'committed' WHERE id = 60`)
    await expect.poll(count, { timeout: 10_000 }).toEqual({ n: '51' })
    const { rows } = await world.sql.query(`SELECT count(*)::int AS n FROM seats WHERE holder = 'committed'`)
    expect(rows).toEqual([{ n: 1 }])
    const verdict = await verifyTable({ ...parts, caughtUp: async () => {} })
    expect(verdict).toMatchObject({ differing_keys: 0, columns: [{ equal: true }, { equal: true }] })
    await world.sql.query('SELECT pg_cancel_backend($1)', [pid])
    await commit
  })
  await world.sql.query(`ALTER SYSTEM RESET synchronous_standby_names`)
  await world.sql.query('SELECT pg_reload_conf()')
  await world.close()
})

test('under load, every position is equal; and what is wrong is found and healed', async () => {
  const { world, feed } = await started(seats)
  const comparison = { ...world.comparison(feed), replica: await world.replica('public.seats') }
  // Nobody changes these, and so nobody heals them.
  await world.sql.query(`INSERT INTO seats SELECT n, 'quiet', 'x' FROM generate_series(6001, 6050) n`)
  await feed.caughtUp()
  await underLoad(world.url, async () => {
    for (let round = 0; round < 5; round++) {
      const verdict = await verifyTable(comparison)
      expect(verdict).toMatchObject({ differing_keys: 0 })
      expect(verdict.rows).toBe(verdict.replica_rows)
    }
    await world.warehouse.command(`INSERT INTO crm.seats VALUES (900000, 'row', 'nobody', 1, 0)`)
    await tamper(world, `seats UPDATE holder = 'somebody' WHERE id BETWEEN 6001 AND 6050`)
    const wrong = await verifyTable({ ...comparison, repair: true })
    expect(wrong.repaired_keys).toBe(51)
    expect((await verifyTable(comparison)).differing_keys).toBe(0)
  })
  expect((await verifyTable(comparison)).differing_keys).toBe(0)
  await world.close()
})
