import { readFile } from 'node:fs/promises'
import type { ChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { reportTables } from '@tendon/etl/fixtures/etl-world.fixture.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { crmReplicas } from '@tendon/warehouse/crm-replicas.fixture.ts'

const chips = 3_222

/** What etl-five-million.sql is given: days of all chips, of which the last was so many days ago. */
export function rowsOfCase(days: number, lastDaysAgo: number): number[] {
  return [chips, days, lastDaysAgo]
}

/** A prosthesis for each chip, all of them with customers of their own, and the table that the peers write. */
export async function makeCrm(warehouse: Warehouse): Promise<void> {
  for (const replica of crmReplicas) await warehouse.command(replica)
  await warehouse.command(
    `INSERT INTO crm.customers (id, time_zone, _version, _deleted)
     SELECT toUUID(concat('00000000-0000-4000-8000-', leftPad(hex(number), 12, '0'))), 'UTC', 1, 0
     FROM numbers(1, {chips:UInt32})`,
    { chips },
  )
  await warehouse.command(
    `INSERT INTO crm.prostheses (id, chip_id, customer_id, model_id, issued_at, firmware_version, _version, _deleted)
     SELECT
       toUUID(concat('00000000-0000-4000-9000-', leftPad(hex(number), 12, '0'))),
       concat('chip-', leftPad(lower(hex(toUInt32(number))), 8, '0')),
       toUUID(concat('00000000-0000-4000-8000-', leftPad(hex(number), 12, '0'))),
       101, toDate32('2020-01-01'), '1.0.0', 1, 0
     FROM numbers(1, {chips:UInt32})`,
    { chips },
  )
  await warehouse.command('CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic')
  await warehouse.command(
    `CREATE TABLE bench.stats AS reports.user_prosthesis_stats
     ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY (user_id, prosthesis_id, day)`,
  )
}

/** Where every contender finds the rows, and writes what it makes of them. */
export const contenderEnv = (
  telemetryUrl: string,
  engine: Pick<ChdbServer, 'url' | 'username' | 'password'>,
) => ({
  TELEMETRY_DATABASE_URL: telemetryUrl,
  CLICKHOUSE_URL: engine.url,
  CLICKHOUSE_USER: engine.username,
  CLICKHOUSE_PASSWORD: engine.password,
  BENCH_TABLE: 'bench.stats',
})

/** As if nobody had ever run: the next run measures everything, and every peer writes into an empty table. */
export async function forgetRuns(warehouse: Warehouse): Promise<void> {
  for (const table of [...reportTables, 'bench.stats']) {
    await warehouse.command(`TRUNCATE TABLE ${table}`)
  }
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}

export function readSql(name: string): Promise<string> {
  return readFile(new URL(name, import.meta.url), 'utf8')
}
