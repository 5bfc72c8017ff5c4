import { createLog } from '@tendon/platform/log.ts'
import { expect, test } from 'vitest'
import { retryDeadLetters } from '../changes/dead-letter-retry.ts'
import { discardDeadLetters, listDeadLetters } from '../changes/kept-letters.ts'
import { nobody } from '../derive/known-tables.ts'
import { verifyTable } from '../verify/verify.ts'
import { resyncTable } from '../whole-tables/resync.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

const prices = {
  ddl: 'CREATE TABLE prices (id integer PRIMARY KEY, price numeric NOT NULL)',
  entry: { name: 'public.prices', types: { price: 'Decimal(9, 2)' }, users: nobody },
}

/** Values that do not fit the type that the registry asks for, however they come. */
export function testMisfits(createWorld: CreateWorld): void {
  test('a row that does not fit is one dead letter, however often it is read, and is not counted as there', async () => {
    const world = await createWorld(prices.ddl, [prices.entry])
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await world.sql.query('INSERT INTO prices VALUES (1, 1.5), (2, 2.5), (3, 12345678.5), (4, 0.125)')
    await feed.caughtUp()
    const { warehouse } = world
    const comparison = { ...world.comparison(feed), replica: await world.replica(prices.entry.name) }
    const letters = async () => {
      const kept = await listDeadLetters(warehouse, prices.entry.name, 100)
      return kept.map(({ key }) => key).toSorted()
    }
    await expect.poll(letters).toEqual(['{"id":3}', '{"id":4}'])

    const repaired: string[][] = []
    const repair = () =>
      verifyTable({ ...comparison, repair: true, onRepaired: async (keys) => void repaired.push(keys) })
    expect(await repair()).toMatchObject({ differing_keys: 2, repaired_keys: 0 })
    expect(repaired).toEqual([])
    await warehouse.command('ALTER TABLE crm.prices DELETE WHERE id = 1 SETTINGS mutations_sync = 1')
    expect(await repair()).toMatchObject({ differing_keys: 3, repaired_keys: 1 })
    expect(repaired).toEqual([['{"id":1}']])

    const log = createLog({ service: 'cdc', level: 'fatal' })
    const parts = { ...comparison, crmDatabaseUrl: world.url, entries: world.entries, log }
    for (const _ of [1, 2]) expect(await resyncTable(parts)).toMatchObject({ rows: 4, deadLetters: 2 })
    expect(await letters()).toEqual(['{"id":3}', '{"id":4}'])

    const retry = () => retryDeadLetters({ warehouse, replicas: [comparison.replica] })
    expect(await retry()).toEqual({ applied: 0, superseded: 0, failed_again: 2, not_retried: 0 })
    await world.sql.query('UPDATE prices SET price = 3.5 WHERE id = 3')
    expect((await world.differences(feed)).map(({ key }) => key)).toEqual([['4']])
    expect(await retry()).toEqual({ applied: 0, superseded: 1, failed_again: 1, not_retried: 0 })
    expect(await letters()).toEqual(['{"id":4}'])
    expect(await discardDeadLetters(warehouse, prices.entry.name)).toBe(1)
    expect(await world.rows('SELECT key FROM cdc.dead_letters')).toEqual([])
    await world.close()
  }, 180_000)
}
