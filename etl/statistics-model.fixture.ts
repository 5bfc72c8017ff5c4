import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { MetricName } from './metrics.ts'

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

export type StoredRow = TelemetryRow & { id: string; signal: string; ingested_at: Date }

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

export type StandingRow = z.output<typeof standing.row>

/** Of each prosthesis, from which day on it has which firmware; before the first it is not known. */
export type FirmwareSeen = Map<string, { since: string; version: string }[]>

const dayMs = 86_400_000
export const dayOf = (date: Date): string => date.toISOString().slice(0, 10)
/** The date that a calendar in the zone shows. */
const dayIn = (date: Date, timeZone: string): string =>
  new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' }).format(date)

/** The rows that numbers are made of: the rules once more, a row at a time. */
export function accepted(rows: StoredRow[]): StoredRow[] {
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
export function ownerOf(row: StoredRow, prostheses: Prosthesis[], timeZones: Map<string, string>) {
  return prostheses
    .map((p) => ({ ...p, day: dayIn(row.recorded_at, timeZones.get(p.customer_id) ?? 'UTC') }))
    .filter((p) => p.chip_id === row.chip_id && p.issued_at <= p.day)
    .filter((p) => !p.returned_at || p.day < p.returned_at)
    .sort((a, b) => (a.issued_at + a.id < b.issued_at + b.id ? -1 : 1))
    .at(-1)
}

/** The definitions of the metrics once more, the obvious way. */
export function computeStats(
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

/** Users with a row that is not the same in both. */
export function differingUsers(before: Map<string, StandingRow>, after: Map<string, StandingRow>): string[] {
  const users = new Set<string>()
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    if (JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key))) users.add(key.split(' ')[0]!)
  }
  return [...users].sort()
}
