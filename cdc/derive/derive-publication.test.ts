import { startTestPostgres, type TestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectSource } from '../source/postgres-connection.ts'
import { readSourceTables } from '../source/source-catalog.ts'
import { nobody } from './known-tables.ts'
import { readMemberships } from './publication-members.ts'

let postgres: TestPostgres

beforeAll(async () => {
  postgres = await startTestPostgres()
})
afterAll(() => postgres?.remove())

test.each(['FOR TABLE sums, plain', 'FOR ALL TABLES'])(
  'a table with generated columns has another place in a publication (%s) that has them than in one that has not',
  async (members) => {
    await using opened = new AsyncDisposableStack()
    const source = await connectSource(await postgres.freshDatabase())
    opened.defer(() => source.end())
    await source.query(`
      CREATE TABLE sums (id integer PRIMARY KEY, twice integer GENERATED ALWAYS AS (id * 2) STORED);
      CREATE TABLE plain (id integer PRIMARY KEY);
      CREATE PUBLICATION p ${members} WITH (publish_via_partition_root = true, publish_generated_columns = stored)`)
    const names = ['public.sums', 'public.plain']
    const entries = names.map((name) => ({ name, users: nobody }))
    const tables = await readSourceTables(source, 'p', entries)
    const places = async (option: string) => {
      await source.query(`ALTER PUBLICATION p SET (publish_generated_columns = ${option})`)
      const memberships = await readMemberships(source, 'p', tables)
      return names.map((name) => memberships.get(name))
    }
    const [sums, plain] = await places('stored')
    expect([sums, plain]).not.toContain(undefined)
    const [sumsWithout, plainWithout] = await places('none')
    expect(plainWithout).toBe(plain)
    expect(sumsWithout).toBeDefined()
    expect(sumsWithout).not.toBe(sums)
    expect(await places('stored')).toEqual([sums, plain])
  },
)
