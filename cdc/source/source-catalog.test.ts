import { startTestPostgres, type TestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { connectSource } from './postgres-connection.ts'
import { lookUpTables, readSourceTables } from './source-catalog.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres?.remove())

const entry = { name: 'public.places', users: nobody }

test('a key that rows may swap within a transaction is refused, and another index will do', async () => {
  const source = await connectSource(await postgres.freshDatabase())
  try {
    await source.query('CREATE TABLE places (id integer PRIMARY KEY DEFERRABLE, code text NOT NULL UNIQUE)')
    await expect(readSourceTables(source, 'tendon_cdc', [entry])).rejects.toMatchObject({
      code: 'TENDON-CDC-020',
    })
    await source.query('ALTER TABLE places REPLICA IDENTITY USING INDEX places_code_key')
    expect((await readSourceTables(source, 'tendon_cdc', [entry]))[0]!.key).toEqual(['code'])
  } finally {
    await source.end()
  }
})

test('a partition beside its root, and a second table for one replica, are refused', async () => {
  const source = await connectSource(await postgres.freshDatabase())
  try {
    await source.query(`CREATE SCHEMA a; CREATE TABLE a.b (id integer PRIMARY KEY); CREATE TABLE "a.b" (id integer PRIMARY KEY);
      CREATE TABLE root (id integer PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE branch PARTITION OF root FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
      CREATE TABLE leaf PARTITION OF branch FOR VALUES FROM (0) TO (5)`)
    const lookUp = async (...names: string[]) => {
      const entries = names.map((name) => ({ name, users: nobody }))
      const { tables, refused } = await lookUpTables(source, 'tendon_cdc', entries)
      return {
        tables: tables.map(({ qualifiedName }) => qualifiedName),
        refused: [...refused].map(([name, { code }]) => [name, code]),
      }
    }
    expect(await lookUp('public.leaf', 'public.root', 'public.a.b', 'a.b')).toEqual({
      tables: ['public.root', 'public.a.b'],
      refused: [
        ['public.leaf', 'TENDON-CDC-031'],
        ['a.b', 'TENDON-CDC-031'],
      ],
    })
    expect(await lookUp('public.leaf', 'a.b')).toEqual({ tables: ['public.leaf', 'a.b'], refused: [] })
  } finally {
    await source.end()
  }
})
