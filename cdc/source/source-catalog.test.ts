import { startTestPostgres, type TestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import { connectSource } from './postgres-connection.ts'
import { readSourceTables } from './source-catalog.ts'

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
