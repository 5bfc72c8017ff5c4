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

/** Other options, and those of before. */
const byHand = [
  `SET (publish = 'insert'); ALTER PUBLICATION p SET (publish = 'insert, update, delete, truncate')`,
  'SET (publish_via_partition_root = false); ALTER PUBLICATION p SET (publish_via_partition_root = true)',
  'SET (publish_generated_columns = none); ALTER PUBLICATION p SET (publish_generated_columns = stored)',
  'RENAME TO q; ALTER PUBLICATION q RENAME TO p',
]
const ofOneTable = [
  'SET TABLE one WHERE (id > 5), other; ALTER PUBLICATION p SET TABLE one, other',
  'SET TABLE one (id), other; ALTER PUBLICATION p SET TABLE one, other',
  'DROP TABLE one; ALTER PUBLICATION p ADD TABLE one',
]
const harmless = 'ADD TABLE third; VACUUM FULL pg_publication; ALTER PUBLICATION p DROP TABLE third'

test.each([
  ['FOR ALL TABLES', [], []],
  ['FOR TABLE one, other', ofOneTable, [harmless]],
])(
  'tables have another place in a publication %s that was another one for a while',
  async (members, ofOne, ofNone) => {
    await using opened = new AsyncDisposableStack()
    const source = await connectSource(await postgres.freshDatabase())
    opened.defer(() => source.end())
    await source.query(`
    CREATE TABLE one (id integer PRIMARY KEY, twice integer GENERATED ALWAYS AS (id * 2) STORED);
    CREATE TABLE other (id integer PRIMARY KEY);
    CREATE TABLE third (id integer PRIMARY KEY);
    CREATE PUBLICATION p ${members} WITH (publish_via_partition_root = true, publish_generated_columns = stored)`)
    const names = ['public.one', 'public.other']
    const entries = names.map((name) => ({ name, users: nobody }))
    const tables = await readSourceTables(source, 'p', entries)
    const places = async () => {
      const memberships = await readMemberships(source, 'p', tables)
      return names.map((name) => memberships.get(name)!)
    }
    const areOthersAfter = async (change: string) => {
      const before = await places()
      for (const statement of `ALTER PUBLICATION p ${change}`.split('; ')) await source.query(statement)
      const after = await places()
      expect(after).not.toContain(undefined)
      return after.map((place, at) => place !== before[at])
    }
    for (const change of byHand) expect(await areOthersAfter(change), change).toEqual([true, true])
    for (const change of ofOne) expect(await areOthersAfter(change), change).toEqual([true, false])
    for (const change of ofNone) expect(await areOthersAfter(change), change).toEqual([false, false])
  },
)
