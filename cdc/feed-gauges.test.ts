import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { afterAll, expect, test } from 'vitest'
import { writePosition } from './changes/positions.ts'
import { readCatalog } from './derive/catalog.ts'
import { nobody } from './derive/known-tables.ts'
import { keepGauges } from './feed-gauges.ts'
import { createFeedMetrics } from './feed-metrics.ts'
import { createWorld, startServers } from './suites/replica-of-source.fixture.ts'

const servers = await startServers()
afterAll(() => servers.remove())

test('the gauges say when the position moved on, what waits in dead letters, and which tables are not up to date', async () => {
  const tables = 'CREATE TABLE items (id integer PRIMARY KEY); CREATE TABLE keyless (v text)'
  const world = await createWorld(servers, tables, [])
  const { sql: source, warehouse, slotName, publicationName, close } = world
  const entries = ['public.items', 'public.keyless'].map((name) => ({ name, users: nobody }))
  const catalog = await readCatalog(source, publicationName, entries)
  const history = { systemIdentifier: '1', timeline: 1, versionOffset: 0n }
  const position = { lsn: 1n, version: 1n, wholeBefore: 0n, committedAt: 0n, history }
  await writePosition(warehouse, slotName, position)

  const metrics = createMetrics('cdc')
  const ending = new AbortController()
  const options = {
    source,
    warehouse,
    catalog,
    slotName,
    metrics: createFeedMetrics(metrics),
    signal: ending.signal,
  }
  const keeping = keepGauges({ ...options, log: createLog({ service: 'test', level: 'fatal' }) })
  const gauge = async (name: string) => {
    const { body } = await metrics.expose()
    return Number(new RegExp(`^tendon_cdc_${name} (\\S+)$`, 'm').exec(body)?.[1])
  }
  const movedAt = () => gauge('position_timestamp_seconds')
  const isRead = { timeout: 15_000 }
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
  ending.abort()
  await expect(keeping).rejects.toThrow()
  await close()
})
