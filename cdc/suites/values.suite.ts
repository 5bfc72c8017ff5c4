import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { everyTypeEntries, everyTypeTables, everyValue, insertEveryValue } from './every-type.fixture.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

/** What every feed must do with the values of every type. */
export function testValues(createWorld: CreateWorld): void {
  test('every value of every type arrives as it is, read by a snapshot, inserted and updated', async () => {
    const world = await createWorld(everyTypeTables, everyTypeEntries)
    await insertEveryValue(world.sql, 0)
    const feed = world.newFeed()
    feed.start()
    expect(await world.differences(feed)).toEqual([])

    await insertEveryValue(world.sql, 1000)
    expect(await world.differences(feed)).toEqual([])

    for (const name of everyValue.names) {
      // Each row takes the value of its neighbour.
      const source = `FROM required other WHERE other.key = (t.key + 1) % 1000 % ${everyValue.rounds}`
      await world.sql.query(`UPDATE everything t SET "${name}" = other."${name}" ${source}`)
    }
    expect(await world.differences(feed)).toEqual([])
    expect(await world.rows('SELECT count() AS n FROM cdc.dead_letters')).toEqual([{ n: '0' }])

    const [shape] = await world.rows(
      `SELECT groupArray(name) AS names FROM system.columns WHERE table = 'everything'`,
    )
    expect(shape!.names).not.toContain('secret')
    expect(shape!.names).toContain('doubled')
    const [leak] = await world.rows(
      `SELECT count() AS n FROM cdc.events WHERE table = 'public.everything' AND position(row, 'never leaves') > 0`,
    )
    expect(leak).toEqual({ n: '0' })
    await world.close()
  }, 120_000)

  test('a text that looks like what Debezium puts for a value that was not sent is a text', async () => {
    const world = await createWorld('CREATE TABLE items (id integer PRIMARY KEY, v text, n integer)', [
      { name: 'public.items', users: nobody },
    ])
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    const texts = [`__debezium_unavailable_value`, String.raw`__debezium\u0000unavailable_value`]
    for (const [id, text] of texts.entries()) {
      await world.sql.query('INSERT INTO items VALUES ($1, $2)', [id, 'before'])
      await world.sql.query('UPDATE items SET v = $2 WHERE id = $1', [id, text])
      await world.sql.query('UPDATE items SET n = 1 WHERE id = $1', [id])
    }
    expect(await world.differences(feed)).toEqual([])
    expect(await world.rows('SELECT v FROM crm.items FINAL ORDER BY id')).toEqual(texts.map((v) => ({ v })))
    await world.close()
  })

  test('bytes out of line that an UPDATE leaves alone are no value of another type', async () => {
    const world = await createWorld(
      `CREATE TABLE items (id integer PRIMARY KEY, n integer, body bytea NOT NULL);
       ALTER TABLE items ALTER body SET STORAGE EXTERNAL;
       INSERT INTO items VALUES (1, 0, decode(repeat('0f', 5000), 'hex'))`,
      [{ name: 'public.items', users: nobody }],
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await world.sql.query('UPDATE items SET n = 1')
    expect(await world.differences(feed)).toEqual([])
    expect(await world.rows('SELECT reason FROM cdc.dead_letters')).toEqual([])
    await world.close()
  })

  test('values out of line that an UPDATE leaves alone and that the log has forgotten are taken from the source', async () => {
    const world = await createWorld(
      `CREATE TABLE items (id integer, day date, n integer, body text NOT NULL, PRIMARY KEY (id, day));
       ALTER TABLE items ALTER body SET STORAGE EXTERNAL;
       INSERT INTO items SELECT id, 'infinity', 0, repeat(id::text, 5000) FROM generate_series(1, 300) id`,
      [{ name: 'public.items', users: nobody }],
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await world.warehouse.command('TRUNCATE TABLE cdc.events')
    await world.sql.query(`
      UPDATE items SET n = 1;
      UPDATE items SET id = -1 WHERE id = 1;
      UPDATE items SET id = 1 WHERE id = 2;
      UPDATE items SET id = 2 WHERE id = -1`)
    expect(await world.differences(feed)).toEqual([])
    await world.close()
  })

  test('values out of line are kept when a key changes, of whatever type it is', async () => {
    const keys: [type: string, from: string, to: string][] = [
      ['bytea', '\\xaa', '\\x00ff'],
      ['bigint', '1', '9007199254740993'],
      ['bigint[]', '{1}', '{9007199254740993,NULL,2}'],
      ['text[]', '{a}', '{{"b c","d\\"e"},{NULL,""}}'],
      ['date[]', '{2024-01-01}', '{infinity,"0044-03-15 BC",10000-01-01}'],
      ['bytea[]', '{a}', '{"\\\\x00ff"}'],
      ['date', '0044-03-15 BC', '0001-12-31 BC'],
      ['timestamp', '2024-01-01', '12345-01-02 03:04:05.000006'],
      ['timestamptz', '-infinity', '0044-03-15 01:02:03.4+00 BC'],
      ['interval', '1 day', '-1 mon +2 days 03:04:05.6'],
      ['numeric', '1.50', '12345678901234567890.123'],
      ['double precision', '1', '-1e-300'],
      ['boolean', 'true', 'false'],
      ['uuid', 'a11ce000-0000-4000-8000-000000000001', 'a11ce000-0000-4000-8000-000000000002'],
      ['inet', '10.0.0.1', '2001:db8::/32'],
      ['jsonb', '{"a": [1]}', '"x\\"y"'],
      ['text', 'a', 'its "quoted" \\ [1]'],
      ['int4range', '[1,2)', '[3,)'],
    ]
    const names = keys.map((_, place) => `key_${place}`)
    const world = await createWorld(
      keys
        .map(
          ([type, from], place) =>
            `CREATE TABLE key_${place} (id ${type} PRIMARY KEY, body text NOT NULL);
             ALTER TABLE key_${place} ALTER body SET STORAGE EXTERNAL;
             INSERT INTO key_${place} VALUES ('${from}', repeat('long', 1500))`,
        )
        .join(';'),
      names.map((name) => ({ name: `public.${name}`, users: nobody })),
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    for (const [place, [, , to]] of keys.entries())
      await world.sql.query(`UPDATE key_${place} SET id = '${to}'`)
    expect(await world.differences(feed)).toEqual([])
    const lengths = names.map((name) => `SELECT length(body) AS n FROM crm.${name} FINAL`).join(' UNION ALL ')
    expect(await world.rows(lengths)).toEqual(names.map(() => ({ n: '6000' })))
    await world.close()
  })

  test('keys that differ in times beyond the range of ClickHouse are as many there', async () => {
    const world = await createWorld(
      `CREATE TABLE validity (id integer, day date, valid_to timestamptz, at timestamp, n integer,
         PRIMARY KEY (id, day, valid_to, at));
       INSERT INTO validity SELECT 1, day::date, 'infinity', '2024-01-02', 0
       FROM unnest('{infinity,-infinity,9999-12-31,12345-01-01,1815-12-10,0044-03-15 BC,2024-02-29}'::text[]) day;
       INSERT INTO validity SELECT 2, '2024-02-29', t::timestamptz, t::timestamp, 0
       FROM unnest('{infinity,-infinity,9999-12-31 23:59:59.999999,12345-01-01,2024-01-02 03:04:05.120000}'::text[]) t`,
      [{ name: 'public.validity', users: nobody }],
    )
    const feed = world.newFeed()
    feed.start()
    const count = async () => (await world.rows('SELECT count() AS n FROM crm.validity FINAL'))[0]
    expect(await world.differences(feed)).toEqual([])
    expect(await count()).toEqual({ n: '12' })
    await world.sql.query(`
      DELETE FROM validity WHERE day = '9999-12-31' OR valid_to > '9999-01-01' AND isfinite(valid_to);
      UPDATE validity SET n = 1 WHERE NOT isfinite(valid_to);
      UPDATE validity SET valid_to = '9999-12-30' WHERE valid_to = 'infinity' AND day = '2024-02-29'`)
    expect(await world.differences(feed)).toEqual([])
    await world.sql.query('TRUNCATE validity')
    expect(await world.differences(feed)).toEqual([])
    expect(await count()).toEqual({ n: '0' })
    await world.close()
  })

  test('NULL stays NULL in a column with a default', async () => {
    const columns = `a integer DEFAULT 5, b text DEFAULT 'x', c numeric DEFAULT 1.5, d boolean DEFAULT true, e text[] DEFAULT '{}'`
    const world = await createWorld(
      `CREATE TABLE items (id integer PRIMARY KEY, ${columns}); INSERT INTO items VALUES (1, NULL, NULL, NULL, NULL, NULL)`,
      [{ name: 'public.items', users: nobody }],
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await world.sql.query(
      'INSERT INTO items VALUES (2, NULL, NULL, NULL, NULL, NULL); INSERT INTO items VALUES (3)',
    )
    await world.sql.query('UPDATE items SET a = NULL, b = NULL, c = NULL, d = NULL, e = NULL WHERE id = 3')
    expect(await world.differences(feed)).toEqual([])
    const [nulls] = await world.rows(
      'SELECT count() AS n FROM crm.items FINAL WHERE a IS NULL AND b IS NULL AND c IS NULL AND d IS NULL',
    )
    expect(nulls).toEqual({ n: '3' })
    await world.close()
  })

  test('a value that does not fit the narrower type asked for is a dead letter, kept whole, and the feed goes on', async () => {
    const world = await createWorld(
      'CREATE TABLE prices (id integer PRIMARY KEY, price numeric NOT NULL, tags text[] NOT NULL)',
      [
        {
          name: 'public.prices',
          types: { price: 'Decimal(10, 2)', tags: 'Array(String)' },
          users: nobody,
        },
      ],
    )
    const feed = world.newFeed()
    feed.start()
    await feed.caughtUp()
    await world.sql.query(
      `INSERT INTO prices VALUES (1, 'NaN', '{}'), (2, 1.005, '{}'), (3, 1.5, '{NULL}'), (4, 1.5, '{{a}}'), (5, 1.50, '{a,b}')`,
    )
    await world.sql.query(`DELETE FROM prices WHERE id = 1`)
    await feed.caughtUp()
    expect(await world.rows('SELECT id, price, tags FROM crm.prices FINAL')).toEqual([
      { id: 5, price: 1.5, tags: ['a', 'b'] },
    ])
    const place = 'topic, partition, offset'
    const letters = await world.rows(
      `SELECT key, encoding, message, ${place} FROM cdc.dead_letters FINAL ORDER BY key`,
    )
    const refused = await world.rows(
      `SELECT DISTINCT key, ${place} FROM cdc.events WHERE table = 'public.prices' AND op = 'c' AND key != '{"id":5}' ORDER BY key`,
    )
    expect(letters).toEqual(refused.map((row) => expect.objectContaining(row)))
    expect(letters.map(({ key }) => key)).toEqual([1, 2, 3, 4].map((id) => `{"id":${id}}`))
    expect(JSON.parse(String(letters[1]!.message))).toMatchObject({ id: 2, price: '1.005', __op: 'c' })
    await world.close()
  })
}
