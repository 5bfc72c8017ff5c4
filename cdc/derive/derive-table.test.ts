import { applyCrmSchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres, type TestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { crmReplicas } from '@tendon/warehouse/crm-replicas.fixture.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { registry } from '../registry.ts'
import { connectSource } from '../source/postgres-connection.ts'
import { readSourceTables } from '../source/source-catalog.ts'
import { createReplicaSql, deriveReplica } from './derive-table.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres?.remove())

test("the CRM's replicas are what the tests of their readers are made with", async () => {
  const source = await connectSource(await postgres.freshDatabase())
  try {
    await applyCrmSchema(source)
    const tables = await readSourceTables(source, 'tendon_cdc', registry)
    expect(tables.map((table) => createReplicaSql(deriveReplica(table)).trim())).toEqual(crmReplicas)
  } finally {
    await source.end()
  }
})

test('a narrower type is taken however it is written, and one that there is not is answered with those there are', async () => {
  const source = await connectSource(await postgres.freshDatabase())
  try {
    await source.query(
      'CREATE TABLE prices (id integer PRIMARY KEY, price numeric, tags text[] NOT NULL, currency text)',
    )
    const derive = async (types: Record<string, string>) => {
      const entry = { name: 'public.prices', users: registry[0]!.users, types }
      const [table] = await readSourceTables(source, 'tendon_cdc', [entry])
      const { columns, problems } = deriveReplica(table!)
      return {
        types: Object.fromEntries(columns.map(({ name, columnType }) => [name, columnType])),
        problems: problems.map(({ message }) => message),
      }
    }
    for (const price of ['Decimal(12, 4)', 'Decimal(12,4)', ' decimal( 12 , 4 )', 'DECIMAL(12,4)']) {
      expect(await derive({ price, tags: 'Array( String )', currency: 'LowCardinality(String)' })).toEqual({
        types: {
          id: 'Int32',
          price: 'Nullable(Decimal(12, 4))',
          tags: 'Array(String)',
          currency: expect.stringContaining('LowCardinality'),
        },
        problems: [],
      })
    }
    expect((await derive({ price: 'Decimal(77, 2)' })).problems).toEqual([
      expect.stringContaining('1 to 76 digits'),
    ])
    expect((await derive({ price: 'Float32', currency: 'Decimal(9, 2)' })).problems).toEqual([
      expect.stringContaining('Decimal(precision, scale) and LowCardinality(String)'),
      expect.stringContaining('cannot be Decimal(9, 2): of text there is LowCardinality(String)'),
    ])
  } finally {
    await source.end()
  }
})
