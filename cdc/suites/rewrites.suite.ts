import type { Warehouse } from '@tendon/warehouse/client.ts'
import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

/** What every feed must do with what PostgreSQL does to whole tables and partitions, and writes no WAL of. */
export function testRewrites(createWorld: CreateWorld): void {
  const entries = [{ name: 'public.items', users: nobody }]

  const partitioned = `CREATE TABLE items (id integer, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE items_may PARTITION OF items FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
    CREATE TABLE items_june PARTITION OF items FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
    CREATE TABLE items_july (LIKE items INCLUDING ALL);
    INSERT INTO items VALUES (1, '2026-05-02', 'a'), (2, '2026-05-03', 'b'), (3, '2026-06-02', 'c');
    INSERT INTO items_july VALUES (4, '2026-07-01', 'd')`

  test('a partition is emptied, attached, detached or dropped, and its rows come or go', async () => {
    const world = await createWorld(partitioned, entries)
    const feed = world.newFeed()
    feed.start()
    expect(await world.differences(feed)).toEqual([])
    for (const ddl of [
      'TRUNCATE items_may',
      `INSERT INTO items VALUES (5, '2026-05-04', 'e');
       ALTER TABLE items ATTACH PARTITION items_july FOR VALUES FROM ('2026-07-01') TO ('2026-08-01')`,
      'ALTER TABLE items DETACH PARTITION items_may',
      'DROP TABLE items_june',
    ]) {
      await world.sql.query(ddl)
      const isEqual = { timeout: 40_000, interval: 250, message: ddl }
      await expect.poll(() => world.differences(feed), isEqual).toEqual([])
    }
    await world.close()
  }, 120_000)

  test('what puts a table elsewhere or changes no value has no table read again', async () => {
    const world = await createWorld(
      `${partitioned};
       CREATE TYPE mood AS ENUM ('sad');
       CREATE TABLE others (id integer PRIMARY KEY, name varchar(20), mood mood);
       INSERT INTO others VALUES (1, 'a', 'sad')`,
      [...entries, { name: 'public.others', users: nobody }],
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    const read = () =>
      world.rows('SELECT table, membership, finished_at FROM cdc.snapshots FINAL ORDER BY table')
    const noted = () => world.rows('SELECT table, storage FROM cdc.table_storages FINAL ORDER BY table')
    const before = await read()
    const harmless = [
      `TRUNCATE items, others; INSERT INTO items VALUES (1, '2026-05-02', 'a'); INSERT INTO others VALUES (2, 'b', 'sad')`,
      `CREATE TABLE items_august PARTITION OF items FOR VALUES FROM ('2026-08-01') TO ('2026-09-01');
       ALTER TABLE others ALTER name TYPE varchar(40), ALTER name SET DEFAULT 'c'; ALTER TYPE mood ADD VALUE 'happy'`,
      `GRANT SELECT ON others, items TO public; GRANT SELECT ON others, items TO public;
       GRANT USAGE ON SCHEMA public TO public; GRANT USAGE ON SCHEMA public TO public; ANALYZE; VACUUM others;
       ALTER TABLE others ADD CONSTRAINT c CHECK (id > 0); ALTER TABLE others DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (id > 0);
       REINDEX TABLE CONCURRENTLY others; CLUSTER others USING others_pkey; CREATE UNIQUE INDEX CONCURRENTLY ON others (id, name);
       ALTER TABLE others DISABLE TRIGGER ALL; VACUUM FULL others; UPDATE others SET id = id`,
    ]
    for (const statement of harmless) {
      const known = await noted()
      for (const one of statement.split(';')) await world.sql.query(one)
      await world.sql.query(`INSERT INTO items SELECT max(id) + 1, '2026-05-04' FROM items`)
      await expect
        .poll(async () => (await noted()).filter((row, n) => row.storage !== known[n]!.storage).length)
        .toBeGreaterThan(0)
      expect(await world.differences(feed)).toEqual([])
    }
    expect(await read()).toEqual(before)
    await world.close()
  })

  test('a table that is rewritten, or not published for a while, while the feed is away is read again', async () => {
    const world = await createWorld(
      `CREATE TABLE items (id integer PRIMARY KEY, v text); INSERT INTO items VALUES (1, 'a')`,
      entries,
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await feed.stop()
    await world.sql.query('ALTER TABLE items ALTER v TYPE text USING upper(v)')
    const second = world.newFeed()
    second.start()
    await expect.poll(() => world.differences(second), { timeout: 40_000, interval: 250 }).toEqual([])
    // Nor is it in the WAL for the feed what a publication leaves out for a while.
    await second.stop()
    for (const statement of [
      `ALTER PUBLICATION test_publication SET (publish = 'insert')`,
      `UPDATE items SET v = 'b'`,
      `ALTER PUBLICATION test_publication SET (publish = 'insert, update, delete, truncate')`,
    ])
      await world.sql.query(statement)
    const third = world.newFeed()
    third.start()
    await expect.poll(() => world.differences(third), { timeout: 40_000, interval: 250 }).toEqual([])
    await world.close()
  })

  test('an UPDATE comes after the moment at which a rewritten table is read, and before the rows of that moment', async () => {
    const world = await createWorld(
      `CREATE TABLE items (id integer PRIMARY KEY, n integer, v text);
       INSERT INTO items SELECT id, 0, string_agg(md5(i::text), '') FROM generate_series(1, 4) id, generate_series(1, 200) i
       GROUP BY id`,
      entries,
    )
    const updated = async (n: number) =>
      (
        await world.rows(
          `SELECT key FROM cdc.events WHERE op IN ('u', 'c') AND JSONExtractInt(row, 'n') = ${n}`,
        )
      ).length
    let isRead = false
    const slow = delayRowsRead(world.warehouse, async () => {
      if (isRead) return
      isRead = true
      await world.sql.query(
        'UPDATE items SET n = 3 WHERE id < 3; UPDATE items SET n = 4, id = 10 WHERE id = 3',
      )
      await expect.poll(async () => [await updated(3), await updated(4)], { timeout: 10_000 }).toEqual([2, 1])
    })
    const first = world.newFeed()
    first.start()
    await first.caughtUp()
    await first.stop()
    await world.sql.query(`
      UPDATE items SET n = 1;
      ALTER TABLE items ALTER v TYPE text USING upper(v);
      UPDATE items SET n = 2`)
    const second = world.newFeed({ warehouse: slow })
    second.start()
    await expect.poll(() => isRead, { timeout: 40_000, interval: 250 }).toBe(true)
    await expect.poll(() => world.differences(second), { timeout: 40_000, interval: 250 }).toEqual([])
    await world.close()
  })
}

/** Has something happen before the rows of a table that is read whole are stored. */
function delayRowsRead(warehouse: Warehouse, before: () => Promise<void>): Warehouse {
  return {
    ...warehouse,
    async insertLines(table, data, ...rest) {
      // Where an event's operation stands in a batch (changes/event-batch.ts).
      if (table === 'cdc.events' && Buffer.isBuffer(data) && data.toString('latin1', 25, 26) === 'r')
        await before()
      await warehouse.insertLines(table, data, ...rest)
    },
  }
}
