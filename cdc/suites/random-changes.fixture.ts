import fc from 'fast-check'
import type pg from 'pg'
import { nobody } from '../derive/known-tables.ts'

/** A statement, and whether it is one of a transaction that commits. */
export type Statement = { sql: string; values?: unknown[] }
export type Transaction = { statements: Statement[]; commits: boolean }

const oddTable = `"my schema"."Mixed.Case ""quoted"" \\ \`back\`"`

/** Values of 3,000 bytes and more are kept out of line, so that an UPDATE which leaves them does not send them. */
export const randomTables = `
  CREATE SCHEMA "my schema";
  CREATE TABLE notes (id integer PRIMARY KEY, n integer, body text, parts numeric[]);
  ALTER TABLE notes ALTER body SET STORAGE EXTERNAL, ALTER parts SET STORAGE EXTERNAL;
  CREATE TABLE whole (LIKE notes INCLUDING ALL);
  ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE indexed (hidden serial PRIMARY KEY, code text NOT NULL UNIQUE, n integer);
  ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code_key;
  CREATE TABLE children (
    id integer PRIMARY KEY, parent integer REFERENCES notes ON DELETE CASCADE ON UPDATE CASCADE
  );
  CREATE TABLE ${oddTable} (
    "value ""x""" jsonb, "key.1" text, "key 2" timestamptz, "ключ\\" integer NOT NULL, other boolean,
    PRIMARY KEY ("key 2", "key.1")
  )`

export const randomEntries = [
  'public.notes',
  'public.whole',
  'public.indexed',
  'public.children',
  'my schema.Mixed.Case "quoted" \\ `back`',
].map((name) => ({ name, users: nobody }))

const id = fc.integer({ min: 1, max: 6 })
const code = fc.constantFrom('a', 'b"\\/\u0001', 'é🎉')
const instant = fc.constantFrom(
  '2024-01-02 03:04:05.678+00',
  '2024-01-02 03:04:10+00',
  '1969-12-31 23:59:59.999999+00',
)
const body = fc.oneof(
  fc.constant(null),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
  fc.integer({ min: 0, max: 9 }).map((digit) => `"\\\n${digit}`.repeat(1000)),
)
const parts = fc.oneof(
  fc.constant(null),
  fc.array(fc.constantFrom('1.10', 'NaN', null), { maxLength: 3 }),
  fc.constantFrom('7.0', '8.50').map((part) => Array.from({ length: 1500 }, () => part)),
)

const run = (sql: string, ...values: fc.Arbitrary<unknown>[]): fc.Arbitrary<Statement> =>
  fc.tuple(...values).map((bound) => ({ sql, values: bound }))

const changesOfNotes = (table: string) => {
  const insert = `INSERT INTO ${table} VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET n = excluded.n`
  const move = `UPDATE ${table} SET id = $2 WHERE id = $1 AND NOT EXISTS (SELECT FROM ${table} WHERE id = $2)`
  return fc.oneof(
    { weight: 4, arbitrary: run(insert, id, id, body, parts) },
    { weight: 4, arbitrary: run(`UPDATE ${table} SET n = $2 WHERE id <= $1`, id, id) },
    { weight: 2, arbitrary: run(`UPDATE ${table} SET body = $2 WHERE id = $1`, id, body) },
    { weight: 2, arbitrary: run(move, id, id) },
    { weight: 1, arbitrary: run(`DELETE FROM ${table} WHERE id = $1`, id) },
    { weight: 1, arbitrary: run(`TRUNCATE ${table} CASCADE`) },
  )
}

const changesOfIndexed = fc.oneof(
  run(
    'INSERT INTO indexed (code, n) VALUES ($1, $2) ON CONFLICT (code) DO UPDATE SET n = excluded.n',
    code,
    id,
  ),
  run(
    'UPDATE indexed SET code = $2 WHERE code = $1 AND NOT EXISTS (SELECT FROM indexed WHERE code = $2)',
    code,
    code,
  ),
  run('DELETE FROM indexed WHERE code = $1', code),
)

const changesOfChildren = fc.oneof(
  run(
    `INSERT INTO children SELECT $1, id FROM notes WHERE id = $2
     ON CONFLICT (id) DO UPDATE SET parent = excluded.parent`,
    id,
    id,
  ),
  fc.constant({ sql: 'SAVEPOINT s; DELETE FROM notes; TRUNCATE children; ROLLBACK TO s' }),
)

const changesOfOdd = fc.oneof(
  run(
    `INSERT INTO ${oddTable} VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
    fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value).replaceAll('\\u0000', '')),
    code,
    instant,
    id,
    fc.option(fc.boolean()),
  ),
  run(
    `UPDATE ${oddTable} t SET "key.1" = $2 WHERE "key.1" = $1 AND "key 2" = $3
     AND NOT EXISTS (SELECT FROM ${oddTable} o WHERE o."key.1" = $2 AND o."key 2" = t."key 2")`,
    code,
    code,
    instant,
  ),
  run(`UPDATE ${oddTable} SET "ключ\\" = $1`, id),
  run(`DELETE FROM ${oddTable} WHERE "key.1" = $1`, code),
  run(`TRUNCATE ${oddTable}`),
)

export const randomTransaction: fc.Arbitrary<Transaction> = fc.record({
  statements: fc.array(
    fc.oneof(
      { weight: 3, arbitrary: changesOfNotes('notes') },
      { weight: 2, arbitrary: changesOfNotes('whole') },
      { weight: 2, arbitrary: changesOfOdd },
      { weight: 1, arbitrary: changesOfIndexed },
      { weight: 1, arbitrary: changesOfChildren },
    ),
    { minLength: 1, maxLength: 6 },
  ),
  commits: fc.oneof(
    { weight: 4, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
})

export async function runTransaction(sql: pg.Client, { statements, commits }: Transaction): Promise<void> {
  await sql.query('BEGIN')
  for (const { sql: text, values } of statements) await sql.query(text, values)
  await sql.query(commits ? 'COMMIT' : 'ROLLBACK')
}
