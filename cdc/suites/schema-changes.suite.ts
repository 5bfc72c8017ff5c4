import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import type { CreateWorld, World } from './replica-of-source.fixture.ts'

/** Reads all the time. @returns what each reading found */
function readOn(world: World, sql: string): { stop(): Promise<Awaited<ReturnType<World['rows']>>[]> } {
  const readings: Awaited<ReturnType<World['rows']>>[] = []
  let isReading = true
  const reading = (async () => {
    while (isReading) {
      readings.push(await world.rows(sql))
      await delay(50)
    }
  })()
  return {
    async stop() {
      isReading = false
      await reading
      return readings
    },
  }
}

/** What every feed must do when tables change their shape while it runs. */
export function testSchemaChanges(createWorld: CreateWorld): void {
  const entries = [{ name: 'public.items', users: nobody }]

  test('NOT NULL that is not valid yet lets NULLs of before it stand, and none of them is left out', async () => {
    const world = await createWorld(
      `CREATE TABLE items (id integer PRIMARY KEY, name text, note text);
       INSERT INTO items SELECT n, nullif('n' || n % 3, 'n0'), NULL FROM generate_series(1, 20) n`,
      entries,
    )
    const [{ version }] = (
      await world.sql.query<{ version: number }>(
        `SELECT current_setting('server_version_num')::integer AS version`,
      )
    ).rows as [{ version: number }]
    const feed = world.newFeed()
    // PostgreSQL before 18 has no such thing.
    if (version >= 180_000) await world.sql.query('ALTER TABLE items ADD NOT NULL name NOT VALID')
    feed.start()
    expect(await world.differences(feed)).toEqual([])
    // Nor are they noticed by an UPDATE: it would have to give the column a value.
    await world.sql.query(`UPDATE items SET name = 'now', note = 'x' WHERE name IS NULL AND id < 10`)
    expect(await world.differences(feed)).toEqual([])
    await world.sql.query(`UPDATE items SET name = 'now' WHERE name IS NULL`)
    if (version >= 180_000) await world.sql.query('ALTER TABLE items VALIDATE CONSTRAINT items_name_not_null')
    await world.sql.query(`INSERT INTO items VALUES (21, 'after')`)
    expect(await world.differences(feed)).toEqual([])
    expect(await world.rows('SELECT reason FROM cdc.dead_letters')).toEqual([])
    await world.close()
  })

  test('a table that has no key for a while is read again once it has one', async () => {
    const world = await createWorld(
      'CREATE TABLE items (id integer PRIMARY KEY, v text); CREATE TABLE others (id integer PRIMARY KEY)',
      [...entries, { name: 'public.others', users: nobody }],
    )
    /** The feed looks at the catalog when it starts. */
    const runOnce = async () => {
      const feed = world.newFeed()
      feed.start()
      await feed.caughtUp()
      return feed
    }
    await (await runOnce()).stop()
    await world.sql.query('ALTER TABLE items DROP CONSTRAINT items_pkey')
    const without = await runOnce()
    await world.sql.query(`INSERT INTO items VALUES (1, 'while it has none')`)
    await without.caughtUp()
    await without.stop()
    await world.sql.query('ALTER TABLE items ADD PRIMARY KEY (id)')
    expect(await world.differences(await runOnce())).toEqual([])
    await world.close()
  }, 60_000)

  test('NULL in a column that is NOT NULL before and after is never passed over in silence', async () => {
    const world = await createWorld(
      'CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL); INSERT INTO items VALUES (1, $$one$$)',
      entries,
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    // No other transaction ever sees that the column takes NULLs.
    await world.sql.query(`BEGIN;
      ALTER TABLE items ALTER name DROP NOT NULL;
      UPDATE items SET name = NULL;
      INSERT INTO items SELECT n, NULL FROM generate_series(2, 1000) n;
      UPDATE items SET name = 'back';
      ALTER TABLE items ALTER name SET NOT NULL;
      COMMIT`)
    expect(await world.differences(feed)).toEqual([])
    const letters = await world.rows('SELECT key, reason, message FROM cdc.dead_letters FINAL')
    const keys = Array.from({ length: 1000 }, (_, n) => `{"id":${n + 1}}`)
    expect(new Set(letters.map(({ key }) => key))).toEqual(new Set(keys))
    for (const { reason, message } of letters) {
      expect(reason).toContain('NULL')
      expect(JSON.parse(String(message))).toMatchObject({ name: null })
    }
    await world.close()
  })

  test('nobody reads what was never there while types are changed', async () => {
    /** For each type: a value, the type it becomes, what stands there then, and what an UPDATE puts there next. */
    const types: [type: string, value: string, other: string, then: string, next: string][] = [
      ['integer', '1', 'text', 'eins', 'zwei'],
      ['integer', '2', 'bigint', '2', '9000000000'],
      ['boolean', 'true', 'text', 'ja', 'nein'],
      ['real', '0.5', 'text', 'half', 'third'],
      ['uuid', '7b9f1f3e-0000-4000-8000-000000000000', 'text', 'one', 'none'],
      ['date', '2024-01-02', 'text', 'monday', 'friday'],
      ['timestamptz', '2024-01-02 03:04:05.000000', 'text', 'noon', 'night'],
      ['date', '2024-01-03', 'timestamp', '2024-01-03 00:00:00.000000', '2024-01-03 01:00:00.000000'],
      ['bytea', 'ab', 'text', 'cd', 'xy'],
    ]
    const list = (one: (each: (typeof types)[number], place: number) => string) => types.map(one).join(', ')
    const world = await createWorld(
      `CREATE TABLE items (id integer PRIMARY KEY, ${list(([type], n) => `c${n} ${type}`)});
       ${types.map(([, value], n) => `INSERT INTO items (id, c${n}) VALUES (${n}, '${value}')`).join(';')}`,
      entries,
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    // Each row has one column that is not NULL.
    const reading = readOn(
      world,
      `SELECT id, coalesce(${list((_, n) => `toString(c${n})`)}) AS value FROM crm.items FINAL`,
    )
    await world.sql.query(
      `ALTER TABLE items ${list(([, , other, then], n) => `ALTER c${n} TYPE ${other} USING CASE id WHEN ${n} THEN '${then}'::${other} END`)}`,
    )
    for (const [n, [, , , , next]] of types.entries())
      await world.sql.query(`UPDATE items SET c${n} = '${next}' WHERE id = ${n}`)
    await expect.poll(() => world.differences(feed), { timeout: 40_000, interval: 250 }).toEqual([])
    const readings = await reading.stop()
    expect(readings.length).toBeGreaterThan(3)
    for (const { id, value } of readings.flat()) {
      const [, before, , then, next] = types[Number(id)]!
      expect([before, then, next]).toContain(value)
    }
    expect(await world.rows('SELECT reason FROM cdc.dead_letters')).toEqual([])
    await world.close()
  })

  test('nobody reads another key while the key is widened', async () => {
    const world = await createWorld(
      'CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (0)',
      entries,
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    const reading = readOn(world, 'SELECT toString(id) AS id FROM crm.items FINAL')
    await world.sql.query(
      'ALTER TABLE items ALTER id TYPE bigint; INSERT INTO items VALUES (2147483648), (9000000000)',
    )
    await world.sql.query('DELETE FROM items WHERE id > 0')
    await world.sql.query('INSERT INTO items VALUES (9000000001)')
    await expect.poll(() => world.differences(feed), { timeout: 40_000, interval: 250 }).toEqual([])
    const readings = (await reading.stop()).map((rows) => rows.map(({ id }) => id))
    expect(readings.length).toBeGreaterThan(3)
    for (const ids of readings) {
      expect(ids).toContain('0')
      expect(['0', '2147483648', '9000000000', '9000000001']).toEqual(expect.arrayContaining(ids))
    }
    await world.close()
  })

  test.each(Object.entries(changes))(
    'while the feed streams, %s',
    async (_kind, ddls) => {
      const cases = Object.entries(ddls).map(([what, ddl], n) => {
        const ofIts = (sql: string) => sql.replaceAll(/\b(items|mood|colour|part)(?=\b|_pkey)/g, `$1_${n}`)
        return { what, ddl: ofIts(ddl), ofIts, entry: { name: ofIts('public.items'), users: nobody } }
      })
      const world = await createWorld(
        cases.map(({ ofIts }) => ofIts(changedTable)).join(';'),
        cases.map(({ entry }) => entry),
      )
      let feed = world.newFeed()
      feed.start()
      await feed.caughtUp()
      // One after the other: a look at one table's shape would find the others' too.
      for (const { what, ddl, ofIts, entry } of cases) {
        const reading = readOn(world, ofIts('SELECT count() AS n FROM crm.items FINAL'))
        await world.sql.query(ofIts('UPDATE items SET amount = amount + 1'))
        await world.sql.query(ddl)
        await world.sql.query(ofIts(touch))
        if (/PUBLICATION|anew/.test(ddl)) {
          // Nothing in the stream tells of these before the next look at the catalog, which a restart brings forward.
          await feed.stop()
          feed = world.newFeed()
          feed.start()
          expect(await world.differences(feed, [entry]), what).toEqual([])
        } else {
          const isEqual = { timeout: 40_000, interval: 250, message: what }
          await expect.poll(() => world.differences(feed, [entry]), isEqual).toEqual([])
        }
        const counts = (await reading.stop()).map(([row]) => Number(row!.n))
        expect(counts.length, what).toBeGreaterThan(3)
        // The replica is a whole table at each moment, the former one or the new one.
        if (!/DROP TABLE/.test(ddl)) expect(Math.min(...counts), what).toBeGreaterThanOrEqual(20)
      }
      expect(await world.rows('SELECT reason FROM cdc.dead_letters')).toEqual([])
      await world.close()
    },
    120_000,
  )
}

const changedTable = `CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE TYPE colour AS ENUM ('red', 'green');
  CREATE TYPE part AS (id integer, colour colour);
  CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, amount integer, price numeric(10, 2), mood mood, parts part[]);
  INSERT INTO items SELECT n, 'n' || n, n, n * 1.25, 'sad', '{"(1,red)"}' FROM generate_series(1, 20) n`

const touch = `UPDATE items SET id = id WHERE id % 2 = 1; INSERT INTO items SELECT max(id) + 1, $$after$$ FROM items`

/** Changes of a table's shape, each with changes of rows before and after it, and each of a table like `changedTable` of its own. */
const changes: Record<string, Record<string, string>> = {
  'columns are added': {
    'a column that may be NULL is added': 'ALTER TABLE items ADD COLUMN note text',
    'a column with a default is added: rows of before have it too': `ALTER TABLE items ADD COLUMN grade integer NOT NULL DEFAULT 5`,
    'a default that differs from row to row':
      'ALTER TABLE items ADD COLUMN token uuid DEFAULT gen_random_uuid()',
    'a name is used again, with a default that its former type cannot have': `ALTER TABLE items ADD COLUMN span interval;
    UPDATE items SET span = $$1 day$$ WHERE id = 3;
    ALTER TABLE items DROP COLUMN span, ADD COLUMN span bigint DEFAULT 9007199254740993`,
    'NOT NULL is taken off, and NULL comes': `ALTER TABLE items ALTER name DROP NOT NULL; UPDATE items SET name = NULL WHERE id = 1`,
  },
  'values become others': {
    'a type is changed, and with it every value':
      'ALTER TABLE items ALTER amount TYPE text USING amount || $$!$$',
    'a type is changed right after values that the new one cannot hold': `ALTER TABLE items ADD COLUMN note text;
    UPDATE items SET note = $$::1$$ WHERE id = 3;
    ALTER TABLE items ALTER note TYPE numeric USING 0`,
    'values are made others of the same type': 'ALTER TABLE items ALTER name TYPE text USING upper(name)',
    'values lose digits': 'ALTER TABLE items ALTER price TYPE numeric(10, 1)',
    'a label of an enum is renamed': 'ALTER TYPE mood RENAME VALUE $$sad$$ TO $$blue$$',
    'a label is renamed of an enum that arrays of a composite hold':
      'ALTER TYPE colour RENAME VALUE $$red$$ TO $$ruby$$',
  },
  'columns and keys go': {
    'a column is dropped': 'ALTER TABLE items DROP COLUMN amount',
    'a column is dropped and made again under its name': `ALTER TABLE items DROP COLUMN amount, ADD COLUMN amount integer;
    UPDATE items SET amount = 3 WHERE id = 2`,
    'a column is renamed': 'ALTER TABLE items RENAME COLUMN name TO title',
    'the key becomes another': `ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (name)`,
    'the key is widened':
      'ALTER TABLE items ALTER id TYPE bigint; INSERT INTO items VALUES (9000000000, $$big$$, 1)',
  },
  'the publication changes, or the table is another': {
    'the publication is dropped, and rows change unpublished': `DROP PUBLICATION test_publication;
    UPDATE items SET name = name || $$?$$`,
    'the table is taken out of the publication': `ALTER PUBLICATION test_publication DROP TABLE items;
    UPDATE items SET name = name || $$?$$`,
    'the table is made anew': `DROP TABLE items; CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, amount integer);
    INSERT INTO items VALUES (1, $$anew$$, 1)`,
  },
}
