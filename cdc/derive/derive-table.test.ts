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
