import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChdbServer } from '@tendon/chdb-server/start-chdb-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { crmReplicas } from '@tendon/warehouse/crm-replicas.fixture.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'
import { createEtl, type Etl } from './etl.ts'
import type { Invalidate } from './invalidations.ts'
import type { EtlConfig } from './options.ts'

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
  chip_id: string
  recorded_at: Date
  response_time_ms: number | null
  battery_percent: number | null
  error_code: string | null
  movement_count: number | null
  active_ms: number | null
}

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
    events: z.number(),
    errors: z.number(),
    error_rate: z.number(),
    response_time_avg_ms: z.number().nullable(),
    response_time_p95_ms: z.number().nullable(),
    battery_min_percent: z.number().nullable(),
    battery_avg_percent: z.number().nullable(),
    active_minutes: z.number(),
    movements: z.coerce.number<string>(),
  }),
})
type StandingRow = z.output<typeof standing.row>

const dayMs = 86_400_000
const dayOf = (date: Date): string => date.toISOString().slice(0, 10)

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
      for (const table of ['cdc.events', 'crm.prostheses', ...reportTables]) {
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

const reportTables = ['user_prosthesis_stats', 'etl_runs', 'etl_invalidations'].map(
  (name) => `reports.${name}`,
)

export type Story = ReturnType<typeof createStory>

function createStory(warehouse: Warehouse, telemetryUrl: string, client: pg.Client) {
  const prostheses = new Map<string, Prosthesis>()
  const invalidated: string[] = []
  let lastVersion = 0
  const takeVersion = () => ++lastVersion

  async function writeChange(
    op: 'c' | 'u' | 'd',
    prosthesis: Prosthesis,
    version = takeVersion(),
  ): Promise<void> {
    const deleted = op === 'd' ? 1 : 0
    // A delete under the default replica identity carries the key alone.
    const row = deleted ? { id: prosthesis.id } : prosthesis
    const event = {
      table: 'public.prostheses',
      key: JSON.stringify({ id: prosthesis.id }),
      version: String(version),
    }
    await warehouse.insertRows('cdc.events', [
      {
        ...event,
        lsn: '1',
        op,
        deleted,
        row: JSON.stringify(row),
        tx_id: '1',
        committed_at: new Date().toISOString(),
      },
    ])
    await warehouse.insertRows('crm.prostheses', [{ ...row, _version: String(version), _deleted: deleted }])
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
      await writeChange('c', prosthesis)
      return prosthesis
    },
    async change(id: string, changes: Partial<Prosthesis>) {
      const changed = { ...prostheses.get(id)!, ...changes }
      prostheses.set(id, changed)
      await writeChange('u', changed)
    },
    /** A place in commit order for a change that is stored later than others after it. */
    takeVersion,
    async remove(id: string, version?: number) {
      await writeChange('d', prostheses.get(id)!, version)
      prostheses.delete(id)
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
        `INSERT INTO telemetry_events (signal, chip_id, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms)
         SELECT 'status', chip_id, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms
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
        firstRun?: EtlConfig['firstRun']
      } = {},
    ): Etl {
      return createEtl({
        config: { schedule: '*/15 * * * *', firstRun: parts.firstRun ?? 'background', workMem: '16MB' },
        warehouse: parts.warehouse ?? warehouse,
        telemetry: parts.telemetry ?? telemetryUrl,
        invalidate: parts.invalidate ?? this.invalidate,
        log: createLog({ service: 'etl', level: 'fatal' }),
        metrics: createMetrics('etl'),
        ...(parts.now && { now: parts.now }),
      })
    },

    /** What stands, by key. */
    async stats(): Promise<Map<string, StandingRow>> {
      return byKey(await warehouse.query(standing, {}))
    },
    /** What should stand, computed slowly from every row of the telemetry that is committed. */
    async expectedStats(): Promise<Map<string, StandingRow>> {
      const { rows } = await client.query<TelemetryRow>('SELECT * FROM telemetry_events')
      return byKey(computeStats(rows, [...prostheses.values()]))
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

/** The definitions of the metrics once more, the obvious way. */
function computeStats(telemetry: TelemetryRow[], prostheses: Prosthesis[]): StandingRow[] {
  const groups = Map.groupBy(telemetry, (row) => `${row.chip_id} ${dayOf(row.recorded_at)}`)
  return [...groups.values()].flatMap((rows) => {
    const { chip_id, recorded_at } = rows[0]!
    const day = dayOf(recorded_at)
    const owner = prostheses
      .filter((p) => p.chip_id === chip_id && p.issued_at <= day && (!p.returned_at || day < p.returned_at))
      .sort((a, b) => (a.issued_at + a.id < b.issued_at + b.id ? -1 : 1))
      .at(-1)
    if (!owner) return []
    // The column is a `real`: its text is shorter than the number it holds.
    const responseTimes = presentNumbers(rows, 'response_time_ms')
      .map(Math.fround)
      .sort((a, b) => a - b)
    const batteries = presentNumbers(rows, 'battery_percent')
    const errors = rows.filter((row) => row.error_code !== null).length
    const stats: StandingRow = {
      user_id: owner.customer_id,
      prosthesis_id: owner.id,
      day,
      chip_id,
      model_id: owner.model_id,
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
    return [stats]
  })
}

function presentNumbers(rows: TelemetryRow[], field: keyof TelemetryRow): number[] {
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
