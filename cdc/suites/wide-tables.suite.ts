import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { verifyTable } from '../verify/verify.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

/** As many columns as PostgreSQL lets a table have ("Limits"), with names as long as they may be. */
const columnCount = 1600
const types = ['text', 'numeric(4,1)', 'char(1)', 'smallint[]']
const values = [`'x'`, 'n', `'x'`, 'NULL']
const nameOf = (place: number) => `column_${place}_`.padEnd(63, 'x')

const places = Array.from({ length: columnCount - 2 }, (_, place) => place)
const wideTable = `
  CREATE TABLE wide (id integer, part text, ${places.map((place) => `${nameOf(place)} ${types[place % types.length]}`).join(', ')},
    PRIMARY KEY (id, part))`
const insertRows = (from: number, to: number) => `
  INSERT INTO wide SELECT n, 'part', ${places.map((place) => values[place % values.length]).join(', ')}
  FROM generate_series(${from}, ${to}) n`

/** What every feed must do with a table of as many columns as there can be. */
export function testWideTables(createWorld: CreateWorld): void {
  test('a table of 1,600 columns is carried, compared and repaired', async () => {
    const world = await createWorld(`${wideTable}; ${insertRows(1, 20)}`, [
      { name: 'public.wide', users: nobody },
    ])
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await world.sql.query(
      `${insertRows(21, 30)}; UPDATE wide SET ${nameOf(0)} = 'later' WHERE id < 5; DELETE FROM wide WHERE id = 6`,
    )
    await feed.caughtUp()
    const comparison = { ...world.comparison(feed), replica: await world.replica('public.wide') }

    const last = nameOf(columnCount - 3)
    await world.warehouse.command(
      `ALTER TABLE crm.wide UPDATE \`${last}\` = '{}' WHERE id = 3 SETTINGS mutations_sync = 1`,
    )
    expect(await verifyTable({ ...comparison, repair: true })).toMatchObject({
      differences: [{ key: ['3', 'part'], column: last }],
      repaired_keys: 1,
    })
    const equal = await verifyTable(comparison)
    expect(equal).toMatchObject({ rows: 29, replica_rows: 29, equal: true })
    expect(equal.columns).toHaveLength(columnCount - 1)
    await world.close()
  }, 300_000)
}
