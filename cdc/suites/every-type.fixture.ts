import type pg from 'pg'
import { nobody } from '../derive/known-tables.ts'

/** Every type of PostgreSQL, with the values at its edges. */
export const everyType: Record<string, { type: string; values: string[] }> = {
  small: { type: 'smallint', values: ['-32768', '32767', '0'] },
  medium: { type: 'integer', values: ['-2147483648', '2147483647'] },
  large: { type: 'bigint', values: ['-9223372036854775808', '9223372036854775807', '9007199254740993'] },
  yes: { type: 'boolean', values: ['true', 'false'] },
  single: {
    type: 'real',
    values: ['3.4028235e+38', '1.1754944e-38', '1e-45', '-0', 'NaN', 'Infinity', '-Infinity', '0.1', '1e20'],
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
  point: {
    type: 'point',
    values: [
      '(1.5,-2)',
      '(1e20,1e-05)',
      '(2e-3,1e15)',
      '(123456789012345,-0)',
      '(Infinity,NaN)',
      '(2e-44,5e-324)',
    ],
  },
  line: { type: 'line', values: ['{1,-1,0}', '{1e20,0.1,-0}'] },
  segment: { type: 'lseg', values: ['[(0,0),(1.5,1e20)]'] },
  box: { type: 'box', values: ['(1.5,1),(0,-1e20)'] },
  path: { type: 'path', values: ['((0,0),(1,0.1))', '[(0,0),(1e-7,1)]'] },
  polygon: { type: 'polygon', values: ['((0,0),(1,0),(1e15,1))'] },
  circle: { type: 'circle', values: ['<(0,0),0.1>'] },
  pairing: { type: 'hstore', values: ['b=>x, a=>1, long=>NULL', '"\\"\\\\ü"=>"=>, \\""', ''] },
  mood: { type: 'mood', values: ['sad', 'very "happy"'] },
  positive: { type: 'positive', values: ['7'] },
  pair: { type: 'pair', values: ['(1,"a,b")', '(,)'] },
  pairs: { type: 'pair[]', values: ['{}', '{"(1,\\"a,b\\")",NULL,"(,)"}', '{{"(1,)"},{"(,x)"}}'] },
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

const list = Object.entries(everyType)
const rounds = Math.max(...list.map(([, { values }]) => values.length))

/** A row for each value of each column, round and round; then one of NULLs. */
export const everyValue = {
  names: list.map(([name]) => name),
  rounds,
  rowOf: (n: number) => list.map(([, { values }]) => values[n % values.length]!),
  placeholders: (first: number) => list.map(([, { type }], index) => `$${index + first}::${type}`).join(', '),
}

const definitions = (constraint: string) =>
  list.map(([name, { type }]) => `"${name}" ${type} ${constraint}`).join(', ')

/** What PostgreSQL computes may be of any type too. */
const generatedCopies = list
  .filter(([name]) => name !== 'secret')
  .map(([name, { type }]) => `"copy of ${name}" ${type} GENERATED ALWAYS AS ("${name}") STORED`)
  .join(', ')

export const everyTypeTables = `
  CREATE EXTENSION hstore;
  CREATE TYPE mood AS ENUM ('sad', 'very "happy"');
  CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
  CREATE TYPE pair AS (a integer, b text);
  CREATE TABLE everything (
    key integer PRIMARY KEY, ${definitions('')}, ${generatedCopies},
    doubled integer GENERATED ALWAYS AS (key * 2) STORED
  );
  CREATE TABLE required (key integer PRIMARY KEY, ${definitions('NOT NULL')})`

export const everyTypeEntries = [
  {
    name: 'public.everything',
    types: { price: 'Decimal(10, 2)', mood: 'LowCardinality(String)' },
    omitColumns: ['secret'],
    users: nobody,
  },
  {
    name: 'public.required',
    types: { price: 'Decimal(10, 2)' },
    users: nobody,
  },
]

/** Fills both tables, with keys from `from` on. */
export async function insertEveryValue(sql: pg.Client, from: number): Promise<void> {
  const quoted = everyValue.names.map((name) => `"${name}"`).join(', ')
  for (let n = 0; n < rounds; n++) {
    for (const table of ['everything', 'required']) {
      const text = `INSERT INTO ${table} (key, ${quoted}) VALUES ($1, ${everyValue.placeholders(2)})`
      await sql.query(text, [from + n, ...everyValue.rowOf(n)])
    }
  }
  await sql.query('INSERT INTO everything (key) VALUES ($1)', [from + rounds])
}
