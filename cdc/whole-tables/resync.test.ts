import { createLog } from '@tendon/platform/log.ts'
import { afterAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import type { CdcFeed } from '../feed-supervisor.ts'
import { createWorld, startServers, type World, withConnection } from '../suites/replica-of-source.fixture.ts'
import { seats, seatsEntries, underLoad } from '../suites/seats-under-load.fixture.ts'
import { replayTable } from './replay.ts'
import { resyncTable } from './resync.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const log = createLog({ service: 'cdc', level: 'fatal' })

async function started() {
  const world = await createWorld(servers, seats, seatsEntries)
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  return { world, feed }
}

const resync = async (world: World, feed: CdcFeed) =>
  resyncTable({
    ...world.comparison(feed),
    crmDatabaseUrl: world.url,
    replica: await world.replica('public.seats'),
    entries: world.entries,
    log,
  })

const replay = async (world: World, feed: CdcFeed, force = false) =>
  replayTable({
    warehouse: world.warehouse,
    replica: await world.replica('public.seats'),
    settled: () => feed.caughtUp(),
    force,
  })

/** Tables and views that were made to be filled. */
const shadows = (world: World) =>
  world.rows(`SELECT name FROM system.tables WHERE database IN ('cdc', 'crm') AND name LIKE '%shadow%'`)

/** Counts the rows all the time. @returns the lowest and the highest count, and how often it was taken */
async function whileReading(world: World, run: () => Promise<unknown>) {
  let isReading = true
  const counts: number[] = []
  const reader = (async () => {
    while (isReading) {
      const [row] = await world.rows('SELECT count() AS n FROM crm.seats FINAL')
      counts.push(Number(row!.n))
    }
  })()
  await run().finally(() => {
    isReading = false
  })
  await reader
  return { lowest: Math.min(...counts), highest: Math.max(...counts), reads: counts.length }
}

test('a replica is rebuilt from the source under load, and its readers see no gap', async () => {
  const { world, feed } = await started()
  // Wrong in every way, and in ways that no later change would mend.
  await world.warehouse.command(
    `ALTER TABLE crm.seats UPDATE holder = 'wrong' WHERE id % 3 = 0 SETTINGS mutations_sync = 1`,
  )
  await world.warehouse.command(
    `INSERT INTO crm.seats SELECT 20000 + number, 'row', 'nobody', 1, 0 FROM numbers(100)`,
  )
  await world.warehouse.command(
    `INSERT INTO crm.seats SELECT 30000 + number, 'row', 'nobody', toUInt128('1000000000000000000000000000000000000'), 0 FROM numbers(100)`,
  )
  await world.warehouse.command(
    `ALTER TABLE cdc.events DELETE WHERE key LIKE '%{"id":1%' SETTINGS mutations_sync = 1`,
  )
  await underLoad(world.url, async () => {
    const seen = await whileReading(world, () => resync(world, feed))
    expect(seen.lowest).toBeGreaterThan(4000)
    expect(seen.highest).toBeLessThan(5500)
    expect(seen.reads).toBeGreaterThan(3)
    expect(await world.differences(feed)).toEqual([])
  })
  expect(await world.differences(feed)).toEqual([])
  expect(await shadows(world)).toEqual([])

  // The log alone makes the same table.
  await replay(world, feed)
  expect(await world.differences(feed)).toEqual([])
  await world.close()
})

const parted = `
CREATE TABLE parted (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100);
INSERT INTO parted VALUES (1, 'one')`

test.each([
  ['a table', seats, seatsEntries, 'public.seats', 'seats ALTER holder'],
  ['a partition', parted, [{ name: 'public.parted', users: nobody }], 'public.parted', 'parted_low ALTER v'],
])(
  'an ALTER of %s that comes while it is held is waited for by nothing of ours, and goes on afterwards',
  async (_, ddl, entries, name, altered) => {
    const world = await createWorld(servers, ddl, entries)
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    const waiting = `SELECT FROM pg_locks WHERE relation = '${altered.split(' ')[0]}'::regclass AND NOT granted`
    await withConnection(world.url, async (crm) => {
      let altering: Promise<unknown> | undefined
      const comparison = world.comparison(feed)
      await resyncTable({
        ...comparison,
        async caughtUp(lsn, isHeld) {
          if (isHeld) {
            altering = crm.query(`ALTER TABLE ${altered} SET DEFAULT 'nobody'`)
            await expect.poll(async () => (await world.sql.query(waiting)).rowCount, { interval: 5 }).toBe(1)
          }
          await comparison.caughtUp(lsn)
        },
        crmDatabaseUrl: world.url,
        replica: await world.replica(name),
        entries: world.entries,
        log,
      })
      await altering
    })
    await world.close()
  },
)

test('changes that a feed repeats meanwhile bring back no row of before a TRUNCATE', async () => {
  const { world, feed } = await started()
  await world.sql.query(`INSERT INTO seats SELECT n, 'row', 'somebody' FROM generate_series(90001, 90010) n`)
  await world.sql.query('TRUNCATE seats')
  await feed.caughtUp()
  const comparison = world.comparison(feed)
  await resyncTable({
    ...comparison,
    async caughtUp(lsn) {
      await comparison.caughtUp(lsn)
      // As a feed does that begins again at the position of before; the tombstones are in the log by now.
      await world.warehouse.command(
        `INSERT INTO cdc.events SELECT * FROM cdc.events WHERE table = 'public.seats' AND deleted = 0`,
      )
    },
    crmDatabaseUrl: world.url,
    replica: await world.replica('public.seats'),
    entries: world.entries,
    log,
  })
  expect(await world.differences(feed)).toEqual([])
  await world.close()
})

test('rows of a transaction that is in the log already, and that the source does not show yet, are kept', async () => {
  const { world, feed } = await started()
  await world.sql.query('SET synchronous_commit = local')
  await world.sql.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
  await world.sql.query('SELECT pg_reload_conf()')
  const count = async (holder: string) =>
    (await world.rows(`SELECT count() AS n FROM crm.seats FINAL WHERE holder = '${holder}'`))[0]
  const arrived = (holder: string, n: string) =>
    expect.poll(() => count(holder), { timeout: 10_000 }).toEqual({ n })
  try {
    await withConnection(world.url, async (client) => {
      const [{ pid }] = (await client.query('SELECT pg_backend_pid() AS pid')).rows
      const commit = client.query(`UPDATE seats SET holder = 'committed' WHERE id <= 50`)
      await arrived('committed', '50')
      await world.sql.query(`UPDATE seats SET holder = 'later' WHERE id = 60`)
      await resyncTable({
        entries: world.entries,
        ...world.comparison(feed),
        caughtUp: () => arrived('later', '1'),
        crmDatabaseUrl: world.url,
        replica: await world.replica('public.seats'),
        log,
      })
      expect(await count('committed')).toEqual({ n: '50' })
      await world.sql.query('SELECT pg_cancel_backend($1)', [pid])
      await commit
    })
  } finally {
    await world.sql.query('ALTER SYSTEM RESET synchronous_standby_names')
    await world.sql.query('SELECT pg_reload_conf()')
  }
  expect(await world.differences(feed)).toEqual([])
  await world.close()
})

test('what is rebuilt from the log after a table was made anew has no rows of the former one', async () => {
  const { world, feed } = await started()
  await world.sql.query(`DROP TABLE seats CASCADE`)
  await world.sql.query(seats)
  await world.sql.query('DELETE FROM seats WHERE id > 7; UPDATE seats SET id = id + 100')
  await expect.poll(() => world.differences(feed), { timeout: 30_000 }).toEqual([])
  await replay(world, feed)
  expect(await world.differences(feed)).toEqual([])
  await world.close()
})

test('a run that dies leaves its table and its view to the next, which removes them', async () => {
  const { world, feed } = await started()
  let isDead = false
  const death = new AbortController()
  const dying = {
    ...world.warehouse,
    insertLines: async () => {
      isDead = true
      death.abort()
      throw new Error('It dies here.')
    },
    command: async (sql: string, params?: Record<string, unknown>) => {
      if (isDead) throw new Error('It is dead.')
      await world.warehouse.command(sql, params)
    },
  }
  const replica = await world.replica('public.seats')
  const first = resyncTable({
    entries: world.entries,
    ...world.comparison(feed),
    warehouse: dying,
    crmDatabaseUrl: world.url,
    replica,
    log,
    signal: death.signal,
  })
  await expect(first).rejects.toThrow()
  expect(await shadows(world)).toHaveLength(2)
  // The feed goes on meanwhile.
  await world.sql.query('DELETE FROM seats WHERE id > 4000')
  await resync(world, feed)
  expect(await shadows(world)).toEqual([])
  expect(await world.differences(feed)).toEqual([])
  await world.close()
})

test('a replica is rebuilt from the log alone, unless the log has forgotten some of its rows', async () => {
  const { world, feed } = await started()
  await world.sql.query(`UPDATE seats SET holder = 'new' WHERE id < 100; DELETE FROM seats WHERE id > 4900`)
  await feed.caughtUp()
  await world.warehouse.command(
    `ALTER TABLE crm.seats UPDATE holder = 'wrong' WHERE 1 SETTINGS mutations_sync = 1`,
  )
  await underLoad(world.url, async () => {
    const seen = await whileReading(world, () => replay(world, feed))
    expect(seen.lowest).toBeGreaterThan(4000)
  })
  expect(await world.differences(feed)).toEqual([])

  await world.sql.query(`INSERT INTO seats VALUES (100000, 'row', 'quiet')`)
  await feed.caughtUp()
  await feed.stop()
  await world.warehouse.command(
    `ALTER TABLE cdc.events DELETE WHERE key = '{"id":100000,"row":"row"}' SETTINGS mutations_sync = 1`,
  )
  const [rows] = await world.rows('SELECT count() AS n FROM crm.seats FINAL')
  const offline = {
    warehouse: world.warehouse,
    replica: await world.replica('public.seats'),
    settled: async () => {},
  }
  await expect(replayTable(offline)).rejects.toThrow(
    'The log has not all rows of public.seats any more: it lacks 1.',
  )
  expect(await shadows(world)).toEqual([])
  expect(await replayTable({ ...offline, force: true })).toEqual({ rows: Number(rows!.n) - 1 })
  await world.close()
})
