import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { readConfig } from '@tendon/platform/config.ts'
import { createLog, type Log } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { crmReplicas } from '@tendon/warehouse/crm-replicas.fixture.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'
import { type BatchSizes, batchSizes } from './batch-sizes.ts'
import type { ReadCrm } from './crm.ts'
import { createWarehouseCrm } from './crm-warehouse.ts'
import { createEtl, type Etl } from './etl.ts'
import type { Invalidate } from './invalidations.ts'
import { type EtlConfig, etlOptions } from './options.ts'
import { listQuarantine } from './quarantine.ts'
import type { ReadingParts } from './run-session.ts'
import {
  accepted,
  computeStats,
  dayOf,
  type FirmwareSeen,
  modelDay,
  ownerOf,
  type Prosthesis,
  type StandingRow,
  type StoredRow,
  standing,
  type TelemetryRow,
} from './statistics-model.fixture.ts'
import { listUnowned } from './unowned.ts'

const standingModelDays = defineQuery({
  name: 'test-standing-model-days',
  sql: `SELECT day, model_id, user_id, prosthesis_id, events FROM reports.model_days FINAL`,
  params: z.object({}),
  row: standing.row.pick({ day: true, model_id: true, user_id: true, prosthesis_id: true, events: true }),
})

/** A warehouse and a telemetry database of a test file's own, and a CRM that only its replica shows. */
export async function startEtlWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'tendon-etl-'))
  const [clickHouse, postgres] = await Promise.all([
    startChdbServer({ dataPath: join(folder, 'clickhouse') }),
    startTestPostgres(),
  ])
  const warehouse = createWarehouse(clickHouse)
  await applyMigrations(warehouse)
  for (const replica of crmReplicas) await warehouse.command(replica)

  return {
    clickHouse,
    warehouse,
    /** Empties the warehouse and opens a telemetry database with nothing in it. */
    async freshStory() {
      for (const table of ['crm.prostheses', 'crm.customers', 'crm.prosthesis_models', ...reportTables]) {
        await warehouse.command(`TRUNCATE TABLE ${table}`)
      }
      const telemetryUrl = await postgres.freshDatabase()
      const client = new pg.Client({ connectionString: telemetryUrl })
      await client.connect()
      await applyTelemetrySchema(client)
      return createStory(warehouse, telemetryUrl, client)
    },
    async stop() {
      await warehouse.close()
      await Promise.all([clickHouse.stop(), postgres.remove()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Everything that runs write. */
export const reportTables = [
  'user_prosthesis_stats',
  'model_days',
  'stats_by_day',
  'etl_runs',
  'etl_invalidations',
  'etl_ownership',
  'etl_ownership_in_use',
  'etl_firmware',
  'etl_quarantine',
  'etl_unowned',
].map((name) => `reports.${name}`)

export type Story = ReturnType<typeof createStory>

function createStory(warehouse: Warehouse, telemetryUrl: string, client: pg.Client) {
  const prostheses = new Map<string, Prosthesis>()
  const invalidated: string[] = []
  let lastVersion = 0
  const takeVersion = () => ++lastVersion
  const timeZones = new Map<string, string>()
  const firmwareSeen: FirmwareSeen = new Map()

  async function writeChange(prosthesis: Prosthesis, deleted: 0 | 1 = 0): Promise<void> {
    await warehouse.insertRows('crm.prostheses', [
      { ...prosthesis, _version: String(takeVersion()), _deleted: deleted },
    ])
  }

  return {
    telemetryUrl,
    client,
    prostheses,
    /** Every user the job has invalidated, in order. */
    invalidated,
    /** What the job calls unless a test gives its own. */
    invalidate: (async (userIds) => void invalidated.push(...userIds)) satisfies Invalidate,

    async issue(given: Partial<Prosthesis> & Pick<Prosthesis, 'chip_id' | 'customer_id' | 'issued_at'>) {
      const prosthesis = {
        id: randomUUID(),
        model_id: 1,
        returned_at: null,
        firmware_version: '1.0.0',
        ...given,
      }
      prostheses.set(prosthesis.id, prosthesis)
      await writeChange(prosthesis)
      return prosthesis
    },
    async change(id: string, changes: Partial<Prosthesis>) {
      const changed = { ...prostheses.get(id)!, ...changes }
      prostheses.set(id, changed)
      await writeChange(changed)
    },
    async remove(id: string) {
      await writeChange(prostheses.get(id)!, 1)
      prostheses.delete(id)
    },
    /** Where a customer lives; UTC is taken while nothing is known. */
    async live(customerId: string, timeZone: string) {
      // A zone that there is not counts as none.
      timeZones.set(customerId, timeZone === 'Europe/Nowhere' ? 'UTC' : timeZone)
      await warehouse.insertRows('crm.customers', [
        { id: customerId, time_zone: timeZone, _version: String(takeVersion()), _deleted: 0 },
      ])
    },

    /** A run has looked at the CRM on this day: from it on each prosthesis has the firmware that it has there. */
    noteFirmware(day: string): void {
      for (const { id, firmware_version } of prostheses.values()) {
        const before = firmwareSeen.get(id) ?? []
        if (before.at(-1)?.version === firmware_version) continue
        firmwareSeen.set(id, [
          ...before.filter(({ since }) => since < day),
          { since: day, version: firmware_version },
        ])
      }
    },

    /** Connections that are made from now on see this time, and it stands still. */
    async stopClock(time: Date): Promise<void> {
      const { database } = client
      await client.query(`
        CREATE SCHEMA IF NOT EXISTS stopped_clock;
        CREATE OR REPLACE FUNCTION stopped_clock.now() RETURNS timestamptz IMMUTABLE
          RETURN timestamptz '${time.toISOString()}';
        ALTER DATABASE ${pg.escapeIdentifier(database!)} SET search_path = stopped_clock, pg_catalog, public`)
    },

    async connect(): Promise<pg.Client> {
      const other = new pg.Client({ connectionString: telemetryUrl })
      await other.connect()
      return other
    },
    async send(
      rows: (Partial<TelemetryRow> & Pick<TelemetryRow, 'chip_id' | 'recorded_at'>)[],
      through = client,
    ) {
      await through.query(
        `INSERT INTO telemetry_events (signal, chip_id, recorded_at, ingested_at, response_time_ms, battery_percent, error_code, movement_count, active_ms)
         SELECT coalesce(signal, 'status'), chip_id, recorded_at, coalesce(ingested_at, greatest(now(), recorded_at)), response_time_ms, battery_percent, error_code, movement_count, active_ms
         FROM json_populate_recordset(NULL::telemetry_events, $1)`,
        [JSON.stringify(rows)],
      )
    },

    createEtl(
      parts: {
        warehouse?: Warehouse
        invalidate?: Invalidate
        now?: () => Date
        telemetry?: string
        readCrm?: ReadCrm
        config?: Partial<EtlConfig>
        log?: Log
        sizes?: BatchSizes
      } = {},
    ): Etl {
      return createEtl({
        config: {
          ...readConfig('etl', etlOptions, { env: { ETL_WORK_MEM: '16MB' } }),
          ...parts.config,
        },
        warehouse: parts.warehouse ?? warehouse,
        telemetry: parts.telemetry ?? telemetryUrl,
        invalidate: parts.invalidate ?? this.invalidate,
        log: parts.log ?? createLog({ service: 'etl', level: 'fatal' }),
        metrics: createMetrics('etl'),
        ...(parts.now && { now: parts.now }),
        ...(parts.readCrm && { readCrm: parts.readCrm }),
        ...(parts.sizes && { sizes: parts.sizes }),
      })
    },

    /** For what reads, and changes nothing. */
    readingParts: (): ReadingParts => ({
      warehouse,
      telemetry: telemetryUrl,
      readCrm: createWarehouseCrm(warehouse),
      log: createLog({ service: 'etl', level: 'fatal' }),
      now: () => new Date(),
      sizes: batchSizes,
    }),

    /** What stands, by key. */
    async stats(): Promise<Map<string, StandingRow>> {
      return byKey(await warehouse.query(standing, {}))
    },
    /** What should stand, computed slowly from every row of the telemetry that is committed. */
    async expectedStats(through = client): Promise<Map<string, StandingRow>> {
      const { rows } = await through.query<StoredRow>('SELECT * FROM telemetry_events')
      return byKey(computeStats(accepted(rows), [...prostheses.values()], timeZones, firmwareSeen))
    },
    /** The rows in quarantine. */
    async quarantine(): Promise<string[]> {
      const rows = await listQuarantine(warehouse, { limit: 1_000_000 })
      return rows.map(({ rowId }) => rowId).sort()
    },
    /** All that no number is made of. */
    async expectedQuarantine(through = client): Promise<string[]> {
      const { rows } = await through.query<StoredRow>('SELECT * FROM telemetry_events')
      const good = new Set(accepted(rows).map(({ id }) => id))
      return rows.flatMap(({ id }) => (good.has(id) ? [] : [id])).sort()
    },
    /** Chip, day and number of the rows that are nobody's, and whether the CRM knows the chip. */
    async unowned(): Promise<string[]> {
      const chips = await listUnowned(warehouse, { limit: 10_000 })
      return chips
        .flatMap(({ chip_id, is_known, days }) =>
          days.map(({ day, rows }) => [chip_id, day, rows, is_known].join(' ')),
        )
        .sort()
    },
    async expectedUnowned(through = client): Promise<string[]> {
      const { rows } = await through.query<StoredRow>('SELECT * FROM telemetry_events')
      const owners = [...prostheses.values()]
      const unowned = accepted(rows).filter((row) => !ownerOf(row, owners, timeZones))
      const days = Map.groupBy(unowned, (row) => `${row.chip_id} ${dayOf(row.recorded_at)}`)
      return [...days]
        .map(([day, { length, 0: row }]) => {
          const isKnown = owners.some(({ chip_id }) => chip_id === row!.chip_id)
          return `${day} ${length} ${isKnown}`
        })
        .sort()
    },
    /** The statistics as they are filed by day and model. */
    async modelDays(): Promise<string[]> {
      const rows = await warehouse.query(standingModelDays, {})
      return rows.map(modelDay).sort()
    },
    end: () => client.end(),
  }
}

function byKey(rows: StandingRow[]): Map<string, StandingRow> {
  return new Map(rows.map((row) => [`${row.user_id} ${row.prosthesis_id} ${row.day}`, row] as const).sort())
}
