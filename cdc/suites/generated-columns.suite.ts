import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

/** Each has a column that PostgreSQL computes: a plain one, one of the key, one of the whole former row, one out of line. */
const tables = `
  CREATE TABLE plain (id integer PRIMARY KEY, n integer NOT NULL, twice bigint GENERATED ALWAYS AS (n * 2) STORED NOT NULL);
  CREATE TABLE keyed (
    id integer, n integer, code text GENERATED ALWAYS AS (id::text || '/' || n::text) STORED, PRIMARY KEY (code, id)
  );
  CREATE TABLE whole (id integer PRIMARY KEY, n integer, label text GENERATED ALWAYS AS ('n' || n::text) STORED);
  ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE large (
    id integer PRIMARY KEY, n integer, part text DEFAULT 'long', body text GENERATED ALWAYS AS (repeat(part, 1000)) STORED
  );
  ALTER TABLE large ALTER body SET STORAGE EXTERNAL`

const names = ['plain', 'keyed', 'whole', 'large']
const entries = names.map((name) => ({ name: `public.${name}`, users: nobody }))
const ofEach = (statement: (table: string) => string) => names.map(statement).join(';')
const insert = (from: number) =>
  ofEach((name) => `INSERT INTO ${name} (id, n) SELECT x, x % 3 FROM generate_series(${from}, ${from + 9}) x`)

/** What every feed must do with columns that PostgreSQL computes. */
export function testGeneratedColumns(createWorld: CreateWorld): void {
  test('stored ones arrive: read whole, inserted, updated, in keys that change, and deleted', async () => {
    const world = await createWorld(tables, entries)
    await world.sql.query(insert(1))
    const feed = world.newFeed()
    feed.start()
    expect(await world.differences(feed)).toEqual([])
    expect(await world.rows('SELECT id, twice FROM crm.plain FINAL ORDER BY id LIMIT 2')).toEqual([
      { id: 1, twice: '2' },
      { id: 2, twice: '4' },
    ])

    await world.sql.query(insert(101))
    await world.sql.query(ofEach((name) => `UPDATE ${name} SET n = n + 1 WHERE id % 2 = 0`))
    await world.sql.query(`UPDATE large SET part = 'other' WHERE id % 3 = 0`)
    await world.sql.query(ofEach((name) => `DELETE FROM ${name} WHERE id % 5 = 0`))
    expect(await world.differences(feed)).toEqual([])
    expect(await world.rows('SELECT table, reason FROM cdc.dead_letters FINAL')).toEqual([])
    await world.close()
  }, 120_000)

  test('another expression, or none any more: every row has its value', async () => {
    const world = await createWorld(tables, entries)
    await world.sql.query(insert(1))
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    const equal = () =>
      expect.poll(() => world.differences(feed), { timeout: 40_000, interval: 250 }).toEqual([])
    for (const ddl of [
      'ALTER TABLE plain ALTER twice SET EXPRESSION AS (n * 3)',
      'ALTER TABLE plain ALTER twice DROP EXPRESSION; UPDATE plain SET twice = 7 WHERE id = 4',
      'ALTER TABLE plain ADD thrice numeric GENERATED ALWAYS AS (n * 3) STORED',
    ]) {
      await world.sql.query(ddl)
      await world.sql.query('UPDATE plain SET n = n + 1 WHERE id % 4 = 0')
      await equal()
    }
    expect(await world.rows('SELECT table, reason FROM cdc.dead_letters FINAL')).toEqual([])
    await world.close()
  }, 180_000)

  test('a publication without them gets them, and what changed while it had none is read again', async () => {
    const world = await createWorld(tables, entries)
    await world.sql.query(insert(1))
    const first = world.newFeed()
    first.start()
    await first.caughtUp()
    await first.stop()
    await world.sql.query(`
      ALTER PUBLICATION test_publication SET (publish_generated_columns = none);
      INSERT INTO plain VALUES (20, 20);
      UPDATE plain SET n = 9 WHERE id = 1`)
    const second = world.newFeed()
    second.start()
    expect(await world.differences(second)).toEqual([])
    // PostgreSQL refuses this as long as a key is not published.
    await world.sql.query('UPDATE keyed SET n = n + 1')
    expect(await world.differences(second)).toEqual([])
    await world.close()
  }, 120_000)
}
