import { join } from 'node:path'
import { type ChdbServer, startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@tendon/sources/embedded-postgres.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import type { BenchContext } from './bench-case.ts'
import type { ServerVersions } from './results.ts'
import type { Scope } from './scope.ts'

/** A PostgreSQL of the case's own with one empty database, and its address. */
export async function openPostgres(
  { scope, log }: BenchContext,
  database: string,
  settings: Record<string, string>,
): Promise<{ url: string; server: EmbeddedPostgres }> {
  const folder = scope.temporaryFolder()
  const server = await stoppedWith(scope, startEmbeddedPostgres({ dataPath: folder, settings, log }))
  await server.createDatabase(database)
  return { url: server.url(database), server }
}

/** A ClickHouse engine of the case's own with the project's tables in it. */
export async function openWarehouse({
  scope,
  log,
}: BenchContext): Promise<{ warehouse: Warehouse; engine: ChdbServer }> {
  const folder = scope.temporaryFolder()
  const engine = await stoppedWith(scope, startChdbServer({ dataPath: join(folder, 'clickhouse'), log }))
  const warehouse = connectWarehouse(scope, engine)
  await applyMigrations(warehouse)
  return { warehouse, engine }
}

/** Also when the scope is closed while it is starting: its folder must not go before it. */
function stoppedWith<Server extends { stop(): Promise<void> }>(
  scope: Scope,
  starting: Promise<Server>,
): Promise<Server> {
  scope.defer(async () => (await starting.catch(() => undefined))?.stop())
  return starting
}

export function connectWarehouse(scope: Scope, server: Parameters<typeof createWarehouse>[0]): Warehouse {
  const warehouse = createWarehouse(server)
  scope.defer(() => warehouse.close())
  return warehouse
}

const clickhouseVersion = defineQuery({
  name: 'clickhouse-version',
  sql: 'SELECT version() AS version',
  params: z.object({}),
  row: z.object({ version: z.string() }),
})

export async function readServerVersions(client: pg.Client, warehouse: Warehouse): Promise<ServerVersions> {
  const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
  const [clickhouse] = await warehouse.query(clickhouseVersion, {})
  return { postgresql: rows[0]!.server_version, clickhouse: clickhouse!.version }
}
