import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

/** What every feed must do when its source was restored or failed over. */
export function testOtherHistory(createWorld: CreateWorld): void {
  test('a source that went back in its history: versions go on rising, and its state is the one that counts', async () => {
    const world = await createWorld('CREATE TABLE counters (id integer PRIMARY KEY, n integer NOT NULL)', [
      { name: 'public.counters', users: nobody },
    ])
    // As if the feed had read a cluster whose WAL was far ahead, with rows that this one does not have.
    const ahead = (1n << 120n).toString()
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await feed.stop()
    await world.warehouse.command(
      `INSERT INTO cdc.events (table, key, version, op, deleted, row)
     SELECT 'public.counters', concat('{"id":', toString(number), '}'), {ahead:UInt128}, 'c', 0,
       concat('{"id":', toString(number), ',"n":7,"__op":"c"}') FROM numbers(5)`,
      { ahead },
    )
    await world.warehouse.command(
      `INSERT INTO cdc.positions (feed, position, lsn, version, system_identifier, timeline)
     SELECT feed, toUInt64(bitShiftRight({ahead:UInt128}, 64)), lsn, {ahead:UInt128}, 'another cluster', 1 FROM cdc.positions FINAL`,
      { ahead },
    )
    await world.sql.query('INSERT INTO counters VALUES (1, 1)')
    const second = world.newFeed()
    second.start()
    expect(await world.differences(second)).toEqual([])
    await world.sql.query('UPDATE counters SET n = 2; INSERT INTO counters VALUES (2, 2)')
    expect(await world.differences(second)).toEqual([])
    await second.stop()

    const third = world.newFeed()
    third.start()
    await world.sql.query('UPDATE counters SET n = 3')
    expect(await world.differences(third)).toEqual([])
    const [newest] = await world.rows('SELECT min(_version) AS version FROM crm.counters FINAL')
    expect(BigInt(String(newest!.version))).toBeGreaterThan(BigInt(ahead))
    await world.close()
  }, 120_000)
}
