import { z } from 'zod'
import type { Warehouse } from './client.ts'
import { warehouseErrors } from './errors.ts'
import { type Migration, readMigrations } from './migration-files.ts'
import { onCluster } from './on-cluster.ts'
import { defineQuery } from './query.ts'

const ledger = [
  `CREATE DATABASE IF NOT EXISTS warehouse ENGINE = Atomic COMMENT 'What has been done to the warehouse itself'`,
  `CREATE TABLE IF NOT EXISTS warehouse.migrations
(
    number UInt32 COMMENT 'Number in the name of the file',
    name String COMMENT 'Name of the file without its ending',
    checksum String COMMENT 'SHA-256 of its text',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied first'
)
ENGINE = ReplacingMergeTree
ORDER BY number
COMMENT 'Migrations applied'`,
]

const appliedMigrations = defineQuery({
  name: 'applied-migrations',
  sql: 'SELECT number, name, checksum FROM warehouse.migrations FINAL ORDER BY number',
  params: z.object({}),
  row: z.object({ number: z.int(), name: z.string(), checksum: z.string() }),
})

/**
 * Brings the warehouse to this version. Every statement may be run again, so that a run that died half way, or
 * two at once, do no harm.
 * @param options.cluster name of the ClickHouse cluster to run ON; one node without it
 * @returns the names of the migrations applied now
 * @throws TENDON-WAREHOUSE-004 when an applied migration was changed, -005 when the warehouse is newer
 */
export async function applyMigrations(
  warehouse: Warehouse,
  options: { cluster?: string | undefined } = {},
): Promise<string[]> {
  const { cluster } = options
  const run = (statement: string) => warehouse.command(cluster ? onCluster(statement, cluster) : statement)

  for (const statement of ledger) await run(statement)
  const pending = await pendingMigrations(warehouse)
  for (const { number, name, checksum, statements } of pending) {
    for (const statement of statements) await run(statement)
    await warehouse.insertRows('warehouse.migrations', [{ number, name, checksum }])
  }
  return pending.map(({ name }) => name)
}

async function pendingMigrations(warehouse: Warehouse): Promise<Migration[]> {
  const migrations = new Map((await readMigrations()).map((migration) => [migration.number, migration]))
  for (const applied of await warehouse.query(appliedMigrations, {})) {
    const migration = migrations.get(applied.number)
    if (!migration) throw warehouseErrors.migrationUnknown(`${applied.name} was applied by a newer version.`)
    if (migration.checksum !== applied.checksum) {
      throw warehouseErrors.migrationChanged(`${migration.name} is not what was applied.`)
    }
    migrations.delete(applied.number)
  }
  return [...migrations.values()]
}
