import { expect, test } from 'vitest'
import { nobody } from '../derive/known-tables.ts'
import type { CreateWorld } from './replica-of-source.fixture.ts'

const swapTables = (one: string, other: string) =>
  `ALTER TABLE ${one} RENAME TO x; ALTER TABLE ${other} RENAME TO ${one}; ALTER TABLE x RENAME TO ${other}`

const swapColumns = (table: string) =>
  `ALTER TABLE ${table} RENAME n TO x; ALTER TABLE ${table} RENAME m TO n; ALTER TABLE ${table} RENAME x TO m`

/** By the table that is changed meanwhile: what is done to it, or to one that has its name, and what undoes it. */
const forAWhile: Record<string, [to: string, back: string]> = {
  identity: [
    'ALTER TABLE identity REPLICA IDENTITY USING INDEX identity_name',
    'ALTER TABLE identity REPLICA IDENTITY DEFAULT; GRANT SELECT ON identity TO public',
  ],
  keys: [
    'ALTER TABLE keys DROP CONSTRAINT keys_pkey, ADD PRIMARY KEY (name)',
    'ALTER TABLE keys DROP CONSTRAINT keys_pkey, ADD PRIMARY KEY (id)',
  ],
  columns: [swapColumns('columns'), swapColumns('columns')],
  left_out: [swapColumns('left_out'), swapColumns('left_out')],
  one_column: ['ALTER TABLE one_column RENAME n TO x', 'ALTER TABLE one_column RENAME x TO n'],
  tables: [swapTables('tables', 'others'), swapTables('tables', 'others')],
  away: ['ALTER TABLE tables RENAME TO away', 'ALTER TABLE away RENAME TO tables'],
  part: [
    'ALTER TABLE parted DETACH PARTITION part',
    'ALTER TABLE parted ATTACH PARTITION part FOR VALUES FROM (0) TO (9000)',
  ],
}

const alike = ['identity', 'keys', 'columns', 'left_out', 'one_column', 'tables']

const columns = '(id integer PRIMARY KEY, name text NOT NULL, n integer, m integer)'

const create = (table: string) => `
  CREATE TABLE ${table} ${columns};
  CREATE UNIQUE INDEX ${table}_name ON ${table} (name);
  INSERT INTO ${table} SELECT i, i || '${table}', i, -i FROM generate_series(1, 20) i`

const changes = (table: string, from: number) => `
  UPDATE ${table} SET id = id + 1000 WHERE id BETWEEN ${from + 1} AND ${from + 3};
  DELETE FROM ${table} WHERE id = ${from + 5};
  UPDATE ${table} SET name = name || '!' WHERE id = ${from + 6};
  INSERT INTO ${table} VALUES (${from + 1}, 'new ${from}', 8, 9)`

/**
 * What every feed must do with names and keys that are others for a while, which nobody else ever sees.
 * @param rounds two show that it says nothing to have been looked into before
 */
export function testMisread(createWorld: CreateWorld, rounds: number): void {
  test('names and keys are others for a while, and no row is wrong for it', async () => {
    const entries = [...alike, 'parted'].map((table) => ({
      name: `public.${table}`,
      users: nobody,
      ...(table === 'left_out' && { omitColumns: ['m'] }),
    }))
    const world = await createWorld(
      `${[...alike, 'others'].map(create).join(';')};
       UPDATE others SET id = id + 50;
       CREATE TABLE parted ${columns} PARTITION BY RANGE (id);
       CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9000);
       INSERT INTO parted SELECT * FROM identity`,
      entries,
    )
    const feed = world.newFeed()
    feed.start()
    const differing = async () => {
      const found: Record<string, unknown> = {}
      for (const entry of entries) {
        const differences = await world.differences(feed, [entry])
        if (differences.length > 0) found[entry.name] = differences
      }
      return found
    }
    for (let round = 0; round < rounds; round++) {
      await feed.caughtUp()
      for (const [table, [to, back]] of Object.entries(forAWhile)) {
        await world.sql.query(`BEGIN; ${to}; ${changes(table, 10 * round)}; ${back}; COMMIT`)
      }
      await expect.poll(differing, { timeout: 40_000, interval: 250 }).toEqual({})
    }
    await world.close()
  }, 300_000)
}
