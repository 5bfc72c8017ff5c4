import { expect, test } from 'vitest'
import type { CreateWorld } from './replica-of-source.fixture.ts'

/** What every feed must do with the values of every type. */
export function testValues(createWorld: CreateWorld): void {
  /** Every type of PostgreSQL, with the values at its edges. */
  const columns: Record<string, { type: string; values: string[] }> = {
    small: { type: 'smallint', values: ['-32768', '32767', '0'] },
    medium: { type: 'integer', values: ['-2147483648', '2147483647'] },
    large: { type: 'bigint', values: ['-9223372036854775808', '9223372036854775807', '9007199254740993'] },
    yes: { type: 'boolean', values: ['true', 'false'] },
    single: {
      type: 'real',
      values: [
        '3.4028235e+38',
        '1.1754944e-38',
        '1e-45',
        '-0',
        'NaN',
        'Infinity',
        '-Infinity',
        '0.1',
        '1e20',
      ],
    },
    double: {
      type: 'double precision',
      values: [
        '1.7976931348623157e+308',
        '5e-324',
        '-0',
        'NaN',
        'Infinity',
        '-Infinity',
        '0.1',
        '1e20',
        '123456789012345680',
      ],
    },
    exact: {
      type: 'numeric',
      values: [
        'NaN',
        'Infinity',
        '-Infinity',
        '1.10',
        '0.000',
        '-123456789012345678901234567890.123456789',
        '1e100',
      ],
    },
    price: { type: 'numeric(10, 2)', values: ['-99999999.99', '99999999.99', '1.50', '0'] },
    words: {
      type: 'text',
      values: [
        '',
        'plain',
        '\\',
        '"',
        "it's",
        '\b\f\n\r\t',
        '\u0001\u001f\u007f',
        'ünï 🎉 \u2028',
        '{"a":1}',
        'null',
        `${'long '.repeat(50)}"\n`,
      ],
    },
    limited: { type: 'varchar(20)', values: ['a', ' b '] },
    padded: { type: 'char(5)', values: ['a', 'abcde'] },
    id: {
      type: 'uuid',
      values: ['00000000-0000-0000-0000-000000000000', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
    },
    day: {
      type: 'date',
      values: [
        '2024-02-29',
        '1899-12-31',
        '1900-01-01',
        '1969-12-31',
        '2299-12-31',
        '2300-01-01',
        '0044-03-15 BC',
        '10000-01-01',
        '5874897-12-31',
        'infinity',
        '-infinity',
      ],
    },
    instant: {
      type: 'timestamptz',
      values: [
        '2024-02-29 23:59:59.999999+00',
        '2024-01-01 00:00:00+05:30',
        '1900-01-01 00:00:00+00',
        '1899-12-31 23:59:59.999999+00',
        '1969-12-31 23:59:59.5+00',
        '2299-12-31 23:59:59.999999+00',
        '2300-01-01 00:00:00+00',
        '0044-03-15 12:00:00+00 BC',
        '10000-01-01 00:00:00+00',
        'infinity',
        '-infinity',
        '1883-11-18 12:00:00+00',
      ],
    },
    local: {
      type: 'timestamp',
      values: ['2024-03-31 02:30:00.1', '0001-01-01 00:00:00', '294276-12-31 23:59:59.999999', 'infinity'],
    },
    clock: { type: 'time', values: ['00:00:00', '23:59:59.999999', '24:00:00'] },
    zoned: { type: 'timetz', values: ['12:00:00+05:30'] },
    span: { type: 'interval', values: ['1 year 2 mons -3 days 04:05:06.7', '0', '-1 day'] },
    document: { type: 'json', values: ['{"b": 1,  "a": [1.10, null], "a": "\\u00e9"}', 'null', '"\\n"'] },
    binary: {
      type: 'jsonb',
      values: ['{"b": 12345678901234567890123, "a": [1.10, "\\"", "\\\\"]}', 'null', '"x"', '[]'],
    },
    bytes: { type: 'bytea', values: ['\\x', '\\x00ff0a', '\\xdeadbeef'] },
    flags: { type: 'bit(3)', values: ['101'] },
    address: { type: 'inet', values: ['192.168.0.1/24', '::1'] },
    money: { type: 'money', values: ['12.34'] },
    point: { type: 'point', values: ['(1.5,-2)'] },
    mood: { type: 'mood', values: ['sad', 'very "happy"'] },
    positive: { type: 'positive', values: ['7'] },
    pair: { type: 'pair', values: ['(1,"a,b")'] },
    range: { type: 'int4range', values: ['[1,5)', 'empty'] },
    vector: { type: 'tsvector', values: ["'cat':2 'fat':1"] },
    numbers: {
      type: 'bigint[]',
      values: ['{}', '{1,NULL,-9223372036854775808}', '{{1,2},{3,4}}', '[0:1]={5,6}'],
    },
    floats: { type: 'double precision[]', values: ['{1e20,-0,NaN,Infinity,0.1,NULL}'] },
    tags: {
      type: 'text[]',
      values: ['{}', '{a,"b c","NULL",NULL,"","\\"\\\\",ünï,"{}","a,b"}', '{{a,b},{c,d}}'],
    },
    decimals: { type: 'numeric[]', values: ['{1.10,NaN,NULL}'] },
    switches: { type: 'boolean[]', values: ['{t,f,NULL}'] },
    instants: { type: 'timestamptz[]', values: ['{"2024-01-02 03:04:05.6+00",NULL}'] },
    documents: { type: 'jsonb[]', values: ['{"{\\"a\\": \\"\\\\\\"\\"}",NULL}'] },
    blobs: { type: 'bytea[]', values: ['{"\\\\x00ff",NULL}'] },
    moods: { type: 'mood[]', values: ['{sad,"very \\"happy\\""}'] },
    list: { type: 'positive[]', values: ['{1,2}'] },
    boxes: { type: 'box[]', values: ['{(1,1),(0,0);(2,2),(1,1)}'] },
    oids: { type: 'oid', values: ['4294967295'] },
    old: { type: 'int2vector', values: ['1 2 3'] },
    secret: { type: 'text', values: ['never leaves'] },
  }

  const names = Object.keys(columns)
  const ddl = `
  CREATE TYPE mood AS ENUM ('sad', 'very "happy"');
  CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
  CREATE TYPE pair AS (a integer, b text);
  CREATE TABLE everything (
    key integer PRIMARY KEY, ${names.map((name) => `"${name}" ${columns[name]!.type}`).join(', ')},
    doubled integer GENERATED ALWAYS AS (key * 2) STORED
  );
  CREATE TABLE required (
    key integer PRIMARY KEY, ${names.map((name) => `"${name}" ${columns[name]!.type} NOT NULL`).join(', ')}
  )`

  const entries = [
    {
      name: 'public.everything',
      types: { price: 'Decimal(10, 2)', mood: 'LowCardinality(String)' },
      omitColumns: ['secret'],
      users: `SELECT '' AS user_id WHERE false`,
    },
    {
      name: 'public.required',
      types: { price: 'Decimal(10, 2)' },
      users: `SELECT '' AS user_id WHERE false`,
    },
  ]

  const rounds = Math.max(...names.map((name) => columns[name]!.values.length))
  /** Row n has each column's value n, round and round. */
  const rowOf = (n: number) => names.map((name) => columns[name]!.values[n % columns[name]!.values.length]!)

  test('every value of every type arrives as it is, read by a snapshot, inserted and updated', async () => {
    const world = await createWorld(ddl, entries)
    const placeholders = names.map((name, index) => `$${index + 2}::${columns[name]!.type}`).join(', ')
    const list = names.map((name) => `"${name}"`).join(', ')
    const insert = async (from: number) => {
      for (let n = 0; n < rounds; n++) {
        for (const table of ['everything', 'required']) {
          const sql = `INSERT INTO ${table} (key, ${list}) VALUES ($1, ${placeholders})`
          await world.sql.query(sql, [from + n, ...rowOf(n)])
        }
      }
      await world.sql.query('INSERT INTO everything (key) VALUES ($1)', [from + rounds])
    }
    await insert(0)
    const feed = world.newFeed()
    feed.start()
    expect(await world.differences(feed)).toEqual([])

    await insert(1000)
    expect(await world.differences(feed)).toEqual([])

    for (const name of names) {
      // Each row takes the value of its neighbour.
      const source = `FROM required other WHERE other.key = (t.key + 1) % 1000 % ${rounds}`
      await world.sql.query(`UPDATE everything t SET "${name}" = other."${name}" ${source}`)
    }
    expect(await world.differences(feed)).toEqual([])
    expect(await world.rows('SELECT count() AS n FROM cdc.dead_letters')).toEqual([{ n: '0' }])

    const [shape] = await world.rows(
      `SELECT groupArray(name) AS names FROM system.columns WHERE table = 'everything'`,
    )
    expect(shape!.names).not.toContain('secret')
    expect(shape!.names).not.toContain('doubled')
    const [leak] = await world.rows(
      `SELECT count() AS n FROM cdc.events WHERE table = 'public.everything' AND position(row, 'never leaves') > 0`,
    )
    expect(leak).toEqual({ n: '0' })
    await world.close()
  })

  test('a value that does not fit the narrower type asked for is a dead letter, kept whole, and the feed goes on', async () => {
    const world = await createWorld(
      'CREATE TABLE prices (id integer PRIMARY KEY, price numeric NOT NULL, tags text[] NOT NULL)',
      [
        {
          name: 'public.prices',
          types: { price: 'Decimal(10, 2)', tags: 'Array(String)' },
          users: `SELECT '' AS user_id WHERE false`,
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
    const letters = await world.rows('SELECT key, encoding, message FROM cdc.dead_letters FINAL ORDER BY key')
    expect(letters.map(({ key }) => key)).toEqual([1, 2, 3, 4].map((id) => `{"id":${id}}`))
    expect(JSON.parse(String(letters[1]!.message))).toMatchObject({ id: 2, price: '1.005', __op: 'c' })
    await world.close()
  })
}
