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
import type { BatchSizes } from './batch-sizes.ts'
import type { ReadCrm } from './crm.ts'
import { createEtl, type Etl } from './etl.ts'
import type { Invalidate } from './invalidations.ts'
import type { MetricName } from './metrics.ts'
import { type EtlConfig, etlOptions } from './options.ts'
import { listQuarantine } from './quarantine.ts'
import { listUnowned } from './unowned.ts'

export type Prosthesis = {
  id: string
  chip_id: string
  customer_id: string
  model_id: number
  /** `YYYY-MM-DD` */
  issued_at: string
  returned_at: string | null
  firmware_version: string
}

export type TelemetryRow = {
  chip_id: string | null
  recorded_at: Date
  response_time_ms: number | null
  battery_percent: number | null
  error_code: string | null
  /** `status` unless told. */
  signal?: string
  /** Now, unless told; a row recorded later than now is stored when it is recorded. */
  ingested_at?: Date
  movement_count: number | null
  active_ms: number | null
}

type StoredRow = TelemetryRow & { id: string; signal: string; ingested_at: Date }

/** Each metric, so that none is left out of what tests compare; 64-bit integers are strings. */
export const metricNumbers = {
  events: z.coerce.number<string>(),
  errors: z.coerce.number<string>(),
  error_rate: z.number(),
  response_time_avg_ms: z.number().nullable(),
  response_time_p95_ms: z.number().nullable(),
  battery_min_percent: z.number().nullable(),
  battery_avg_percent: z.number().nullable(),
  active_minutes: z.number(),
  movements: z.coerce.number<string>(),
} satisfies Record<MetricName, z.ZodType>

export const standing = defineQuery({
  name: 'test-standing',
  sql: `SELECT * EXCEPT (_version, _deleted) FROM reports.user_prosthesis_stats FINAL`,
  params: z.object({}),
  row: z.object({
    user_id: z.string(),
    prosthesis_id: z.string(),
    day: z.string(),
    chip_id: z.string(),
    model_id: z.int(),
    firmware_version: z.string(),
    ...metricNumbers,
  }),
})
/** What is filed by day and model, of a row of the statistics. */
export function modelDay(
  row: Pick<StandingRow, 'day' | 'model_id' | 'user_id' | 'prosthesis_id' | 'events'>,
): string {
  return [row.day, row.model_id, row.user_id, row.prosthesis_id, row.events].join(' ')
}

const standingModelDays = defineQuery({
  name: 'test-standing-model-days',
  sql: `SELECT day, model_id, user_id, prosthesis_id, events FROM reports.model_days FINAL`,
  params: z.object({}),
  row: standing.row.pick({ day: true, model_id: true, user_id: true, prosthesis_id: true, events: true }),
})

type StandingRow = z.output<typeof standing.row>

/** Of each prosthesis, from which day on it has which firmware; before the first it is not known. */
type FirmwareSeen = Map<string, { since: string; version: string }[]>

const dayMs = 86_400_000
const dayOf = (date: Date): string => date.toISOString().slice(0, 10)
/** The date that a calendar in the zone shows. */
const dayIn = (date: Date, timeZone: string): string =>
  new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' }).format(date)

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
      return rows.map(({ rowId }) => String(rowId)).sort()
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

/** Users with a row that is not the same in both. */
export function differingUsers(before: Map<string, StandingRow>, after: Map<string, StandingRow>): string[] {
  const users = new Set<string>()
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    if (JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key))) users.add(key.split(' ')[0]!)
  }
  return [...users].sort()
}

/** The rows that numbers are made of: the rules once more, a row at a time. */
function accepted(rows: StoredRow[]): StoredRow[] {
  const between = (value: number | null, least: number, most: number) =>
    value === null || (value >= least && value <= most)
  const sensible = rows.filter(
    (row) =>
      row.chip_id &&
      row.recorded_at instanceof Date &&
      row.recorded_at.getTime() <= row.ingested_at.getTime() + 3_600_000 &&
      row.recorded_at.getTime() >= Date.parse('2000-01-01') &&
      between(row.response_time_ms, 0, 60_000) &&
      between(row.active_ms, 0, dayMs) &&
      between(row.battery_percent, 0, 100) &&
      between(row.movement_count, 0, 100_000),
  )
  const messages = Map.groupBy(sensible, (row) => `${row.chip_id} ${row.recorded_at.getTime()} ${row.signal}`)
  return [...messages.values()].map((same) => same.reduce((a, b) => (BigInt(a.id) < BigInt(b.id) ? a : b)))
}

/** Whose row it is: the last to whom the prosthesis was issued, of those who had it on the day it was there. */
function ownerOf(row: StoredRow, prostheses: Prosthesis[], timeZones: Map<string, string>) {
  return prostheses
    .map((p) => ({ ...p, day: dayIn(row.recorded_at, timeZones.get(p.customer_id) ?? 'UTC') }))
    .filter((p) => p.chip_id === row.chip_id && p.issued_at <= p.day)
    .filter((p) => !p.returned_at || p.day < p.returned_at)
    .sort((a, b) => (a.issued_at + a.id < b.issued_at + b.id ? -1 : 1))
    .at(-1)
}

/** The definitions of the metrics once more, the obvious way. */
function computeStats(
  telemetry: StoredRow[],
  prostheses: Prosthesis[],
  timeZones: Map<string, string>,
  firmwareSeen: FirmwareSeen,
): StandingRow[] {
  const owned = telemetry.flatMap((row) => {
    const owner = ownerOf(row, prostheses, timeZones)
    return owner ? [{ row, owner }] : []
  })
  const groups = Map.groupBy(owned, ({ owner }) => `${owner.id} ${owner.day}`)
  return [...groups.values()].map((group) => {
    const { owner } = group[0]!
    const rows = group.map(({ row }) => row)
    // The column is a `real`: its text is shorter than the number it holds.
    const responseTimes = presentNumbers(rows, 'response_time_ms')
      .map(Math.fround)
      .sort((a, b) => a - b)
    const batteries = presentNumbers(rows, 'battery_percent')
    const errors = rows.filter((row) => row.error_code !== null).length
    const stats: StandingRow = {
      user_id: owner.customer_id,
      prosthesis_id: owner.id,
      day: owner.day,
      chip_id: owner.chip_id,
      model_id: owner.model_id,
      firmware_version:
        firmwareSeen.get(owner.id)?.findLast(({ since }) => since <= owner.day)?.version ?? '',
      events: rows.length,
      errors,
      error_rate: errors / rows.length,
      response_time_avg_ms: mean(responseTimes),
      response_time_p95_ms: percentile(responseTimes, 0.95),
      battery_min_percent: batteries.length > 0 ? Math.min(...batteries) : null,
      battery_avg_percent: mean(batteries),
      active_minutes: sum(presentNumbers(rows, 'active_ms')) / 60_000,
      movements: sum(presentNumbers(rows, 'movement_count')),
    }
    return stats
  })
}

function presentNumbers(rows: StoredRow[], field: keyof TelemetryRow): number[] {
  return rows
    .map((row) => row[field])
    .filter((value) => typeof value === 'number' && Number.isFinite(value)) as number[]
}

const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0)
const mean = (numbers: number[]): number | null => (numbers.length > 0 ? sum(numbers) / numbers.length : null)

/** percentile_cont: between the two nearest of the sorted values. */
function percentile(sorted: number[], fraction: number): number | null {
  if (sorted.length === 0) return null
  const place = fraction * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!]
  return low + (place - Math.floor(place)) * (high - low)
}

export function dayAfter(day: string, days: number): string {
  return dayOf(new Date(Date.parse(day) + days * dayMs))
}

/**
 * A warehouse that is gone for good after some calls: to the run it is as if its process had been killed. Says how many it
 * has had.
 */
export function mortal(
  warehouse: Warehouse,
  death: { afterCalls: number; isLastDone: boolean },
): Warehouse & { calls(): number } {
  let calls = 0
  const call = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    calls += 1
    if (calls > death.afterCalls + 1 || (calls > death.afterCalls && !death.isLastDone))
      throw new Error('dead')
    const result = await work()
    if (calls > death.afterCalls) throw new Error('dead')
    return result
  }
  return {
    ...warehouse,
    calls: () => calls,
    query: (query, params) => call(() => warehouse.query(query, params)),
    insertRows: (table, rows) => call(() => warehouse.insertRows(table, rows)),
    insertLines: (table, data, format) => call(() => warehouse.insertLines(table, data, format)),
  }
}
