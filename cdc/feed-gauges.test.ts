import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { afterAll, expect, test } from 'vitest'
import { writePosition } from './changes/positions.ts'
import { type Catalog, readCatalog } from './derive/catalog.ts'
import { nobody } from './derive/known-tables.ts'
import { keepGauges } from './feed-gauges.ts'
import { createFeedMetrics } from './feed-metrics.ts'
import { createWorld, startServers, type World } from './suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

const isRead = { timeout: 15_000 }

/** Keeps the gauges of a world's feed, as a session does. */
function startKeeping({ sql: source, warehouse, slotName }: World, catalog: Catalog) {
  const metrics = createMetrics('cdc')
  const ending = new AbortController()
  const keeping = keepGauges({
    source,
    warehouse,
    catalog,
    slotName,
    metrics: createFeedMetrics(metrics),
    signal: ending.signal,
    log: createLog({ service: 'test', level: 'fatal' }),
    intervalMs: 200,
  })
  const gauge = async (name: string) => {
    const { body } = await metrics.expose()
    return Number(new RegExp(`^tendon_cdc_${name} (\\S+)$`, 'm').exec(body)?.[1])
  }
  return {
    gauge,
    movedAt: () => gauge('position_timestamp_seconds'),
    async stop() {
      ending.abort()
      await expect(keeping).rejects.toThrow()
    },
  }
}

test('the gauges say when the position moved on, what waits in dead letters, and which tables are not up to date', async () => {
  const tables = 'CREATE TABLE items (id integer PRIMARY KEY); CREATE TABLE keyless (v text)'
  const world = await createWorld(servers, tables, [])
  const { sql: source, warehouse, slotName, publicationName, close } = world
  const entries = ['public.items', 'public.keyless'].map((name) => ({ name, users: nobody }))
  const catalog = await readCatalog(source, world.warehouse, publicationName, entries)
  const history = { systemIdentifier: '1', timeline: 1, versionOffset: 0n }
  const position = { lsn: 1n, version: 1n, wholeBefore: 0n, committedAt: 0n, history }
  await writePosition(warehouse, slotName, position)

  const { gauge, movedAt, stop } = startKeeping(world, catalog)
  await expect.poll(movedAt, isRead).toBeGreaterThan(Date.now() / 1000 - 60)
  const first = await movedAt()

  // As while reports-service cannot be told: newer changes become visible, and the position stands.
  await writePosition(warehouse, slotName, { ...position, version: 2n })
  await warehouse.insertRows('cdc.dead_letters', [{ table: 'public.items', version: '2', key: '{}' }])
  await expect.poll(() => gauge('dead_letters{table="public.items"}'), isRead).toBe(1)
  expect(await movedAt()).toBe(first)

  await writePosition(warehouse, slotName, { ...position, lsn: 2n })
  await expect.poll(movedAt, isRead).toBeGreaterThan(first)
  // One has never been read whole, and the other cannot be carried.
  expect(await gauge('unread_tables{table="public.items"}')).toBe(1)
  expect(await gauge('catalog_problems{code="TENDON-CDC-008"}')).toBe(1)
  await stop()
  await close()
})

test('while the source is idle, and all of it is dealt with, the position does not count as standing', async () => {
  const entries = [{ name: 'public.items', users: nobody }]
  const world = await createWorld(servers, 'CREATE TABLE items (id integer PRIMARY KEY)', entries)
  const { sql: source, warehouse, publicationName } = world
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()
  const catalog = await readCatalog(source, world.warehouse, publicationName, entries)
  const { gauge, movedAt, stop } = startKeeping(world, catalog)
  // Where it stands on: what was stored last is long ago.
  const storedAt = async () => {
    const [position] = await world.rows(
      'SELECT toUnixTimestamp64Micro(stored_at) / 1e6 AS stored_at FROM cdc.positions FINAL',
    )
    return Number(position!.stored_at)
  }
  await expect
    .poll(async () => (await movedAt()) - (await storedAt()), { timeout: 90_000, interval: 500 })
    .toBeGreaterThan(5)

  await feed.stop()
  await world.sql.query('INSERT INTO items VALUES (1)')
  const letters = async (count: number) => {
    await warehouse.insertRows('cdc.dead_letters', [
      { table: 'public.items', version: String(count), key: '{}' },
    ])
    await expect.poll(() => gauge('dead_letters{table="public.items"}'), isRead).toBe(count)
  }
  // Whatever was asked before the row was there has been answered by then.
  await letters(1)
  const stopped = await movedAt()
  await letters(2)
  expect(await movedAt()).toBe(stopped)
  await stop()
  await world.close()
}, 120_000)
