import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type ChdbServer, startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { startTestPostgres, type TestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'
import { deriveReplica, type ReplicaTable } from '../derive/derive-table.ts'
import { chIdentifier } from '../derive/sql-names.ts'
import type { CdcFeed } from '../feed-supervisor.ts'
import type { RegistryEntry } from '../registry.ts'
import { formatLsn } from '../source/lsn.ts'
import { connectSource } from '../source/postgres-connection.ts'
import { readSourceTables } from '../source/source-catalog.ts'
import type { Invalidate } from '../telling/invalidate.ts'
import type { ComparisonParts } from '../verify/comparison-point.ts'
import { verifyTable } from '../verify/verify.ts'
import type { Difference } from '../verify/verify-differences.ts'
import { createCdcFeed } from '../wal/cdc-feed.ts'

/** A PostgreSQL and a ClickHouse for one test file. */
export type Servers = {
  postgres: TestPostgres
  clickHouse: ChdbServer
  remove(): Promise<void>
}

export async function startServers(): Promise<Servers> {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-cdc-'))
  const [postgres, clickHouse] = await Promise.all([
    startTestPostgres({
      wal_level: 'logical',
      max_replication_slots: '30',
      max_wal_senders: '30',
      max_prepared_transactions: '5',
    }),
    startChdbServer({ dataPath: join(folder, 'clickhouse') }),
  ])
  return {
    postgres,
    clickHouse,
    async remove() {
      await Promise.all([postgres.remove(), clickHouse.stop()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A database of its own with tables, a feed over it, and a warehouse that is emptied first. */
export type World = {
  url: string
  slotName: string
  publicationName: string
  readonly sql: pg.Client
  warehouse: Warehouse
  entries: RegistryEntry[]
  /** Users invalidated so far, one list a call. */
  invalidated: string[][]
  /** What compares the source with the log, once this feed has caught up. */
  comparison(feed: CdcFeed): ComparisonParts
  /** One of the tables as it is now. */
  replica(name: string): Promise<ReplicaTable>
  /** Makes a feed that is not started; `over` replaces parts of it. */
  newFeed(over?: {
    crmDatabaseUrl?: string
    warehouse?: Warehouse
    invalidate?: Invalidate
    entries?: RegistryEntry[]
  }): CdcFeed
  /** All differences between the tables and their replicas, once the feed has caught up. */
  differences(feed: CdcFeed, entries?: RegistryEntry[]): Promise<Difference[]>
  rows(sql: string): Promise<Record<string, unknown>[]>
  /** Makes `sql` anew, after the server was away. */
  reconnect(): Promise<void>
  close(): Promise<void>
}

/** Makes a world over one of the feeds. */
export type CreateWorld = (ddl: string, entries: RegistryEntry[]) => Promise<World>

let slots = 0
/** A name that no other world of this machine has, fit for a slot and for topics. */
export const newSlotName = () => `test_${process.pid}_${++slots}`

export type WorldOptions = {
  url: string
  slotName: string
  warehouse: Warehouse
  ddl: string
  entries: RegistryEntry[]
  makeFeed(parts: Parameters<typeof createCdcFeed>[0]): CdcFeed
  /** After the feeds have stopped. */
  close?: () => Promise<void>
}

export async function createWorld(
  { postgres, clickHouse }: Servers,
  ddl: string,
  entries: RegistryEntry[],
): Promise<World> {
  const url = await postgres.freshDatabase()
  const warehouse = createWarehouse(clickHouse)
  await emptyWarehouse(warehouse)
  const slotName = newSlotName()
  const close = () => removeDatabase(postgres.url('postgres'), url, slotName)
  return worldOver({ url, slotName, warehouse, ddl, entries, makeFeed: createCdcFeed, close })
}

/** With its slot, of which a server has so many and no more. */
export async function removeDatabase(server: string, url: string, slotName: string): Promise<void> {
  await withConnection(server, async (admin) => {
    const drop = 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1'
    const dropped = () =>
      admin.query(drop, [slotName]).then(
        () => true,
        (err) => {
          if (err.code !== '55006' /* object_in_use */) throw err
          return false
        },
      )
    // Whoever read it has gone, and PostgreSQL may not have noticed yet.
    while (!(await dropped())) await delay(20)
    await admin.query(`DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`)
  })
}

export async function worldOver(options: WorldOptions): Promise<World> {
  const { url, slotName, warehouse, ddl, entries, makeFeed } = options
  let sql = await connectSource(url)
  await sql.query(ddl)
  const log = createLog({ service: 'cdc', level: process.env.CDC_TEST_LOG === '1' ? 'debug' : 'fatal' })
  const invalidated: string[][] = []
  const feeds: CdcFeed[] = []
  const publicationName = 'test_publication'
  const comparison = (feed: CdcFeed): ComparisonParts => ({
    warehouse,
    connect: () => connectSource(url),
    feed: slotName,
    caughtUp: (lsn) => feed.caughtUp(formatLsn(lsn)),
  })
  return {
    url,
    slotName,
    publicationName,
    get sql() {
      return sql
    },
    async reconnect() {
      await sql.end().catch(() => {})
      sql = await connectSource(url)
    },
    warehouse,
    entries,
    invalidated,
    comparison,
    async replica(name) {
      const [table] = await readSourceTables(
        sql,
        publicationName,
        entries.filter((entry) => entry.name === name),
      )
      return deriveReplica(table!)
    },
    newFeed(over = {}) {
      const feed = makeFeed({
        config: { crmDatabaseUrl: over.crmDatabaseUrl ?? url, slotName, publicationName },
        warehouse: over.warehouse ?? warehouse,
        invalidate:
          over.invalidate ??
          (async (users) => {
            invalidated.push(users)
          }),
        log,
        metrics: createMetrics('cdc'),
        entries: over.entries ?? entries,
      })
      feeds.push(feed)
      return feed
    },
    async differences(feed, checked = entries) {
      await feed.caughtUp()
      const tables = await readSourceTables(sql, publicationName, checked)
      // At once: by Kafka each waits a second for what its moment of the source has seen.
      const found = await Promise.all(
        tables.map(async (table) => {
          const verdict = await verifyTable({ ...comparison(feed), replica: deriveReplica(table) })
          if (!verdict.equal && verdict.differences.length === 0) throw new Error(JSON.stringify(verdict))
          return verdict.differences
        }),
      )
      return found.flat()
    },
    rows: (query) =>
      warehouse.query(
        defineQuery({
          name: 'test',
          sql: query,
          params: z.object({}),
          row: z.record(z.string(), z.unknown()),
        }),
        {},
      ),
    async close() {
      await Promise.all(feeds.map((feed) => feed.stop()))
      await options.close?.()
      await sql.end()
      await warehouse.close()
    },
  }
}

const databases = ['cdc', 'crm', 'reports', 'warehouse']
const tablesOfWarehouse = defineQuery({
  name: 'test-tables-of-warehouse',
  sql: `
    SELECT database, name, create_table_query AS definition, coalesce(total_rows, 0) > 0 AS is_filled
    FROM system.tables WHERE database IN {databases:Array(String)}
    ORDER BY engine = 'MaterializedView' DESC`,
  params: z.object({ databases: z.array(z.string()) }),
  row: z.object({
    database: z.string(),
    name: z.string(),
    definition: z.string(),
    is_filled: z.coerce.boolean(),
  }),
})
/** What the migrations make. */
let migrated = new Set<string>()

/** Emptying takes a fraction of making everything anew, which is done where a test has changed what there was. */
async function emptyWarehouse(warehouse: Warehouse): Promise<void> {
  const tables = await warehouse.query(tablesOfWarehouse, { databases })
  const kept = tables.filter(({ definition }) => migrated.has(definition))
  const sqlName = ({ database, name }: (typeof tables)[number]) => `${database}.${chIdentifier(name)}`
  if (migrated.size > 0 && kept.length === migrated.size) {
    for (const table of tables)
      if (!kept.includes(table)) await warehouse.command(`DROP TABLE ${sqlName(table)} SYNC`)
    for (const table of kept)
      if (table.is_filled && table.database !== 'warehouse')
        await warehouse.command(`TRUNCATE TABLE ${sqlName(table)}`)
    return
  }
  for (const database of databases) await warehouse.command(`DROP DATABASE IF EXISTS ${database} SYNC`)
  await applyMigrations(warehouse)
  const made = await warehouse.query(tablesOfWarehouse, { databases })
  migrated = new Set(made.map(({ definition }) => definition))
}

/** Runs statements on a connection of their own. */
export async function withConnection<Result>(
  url: string,
  run: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end()
  }
}
