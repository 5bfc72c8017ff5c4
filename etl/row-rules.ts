import { instantText } from './instants.ts'

/** A telemetry row as it is judged. One object is used again and again. */
export type JudgedRow = {
  instantUs: number
  /** NaN when it is null as well as when it is NaN; `hasResponseTime` tells. */
  responseTimeMs: number
  hasResponseTime: boolean
  /** Undefined is null, of these three. */
  batteryPercent: number | undefined
  activeMs: number | undefined
  movements: number | undefined
  /** Recorded more than `clockAheadMinutes` after it was stored. */
  isAhead: boolean
}

export const clockAheadMinutes = 60

const longestResponseMs = 60_000
const longestActiveMs = 86_400_000
const mostMovements = 100_000

export type RowRule = {
  name: string
  what: string
  breaks(row: JudgedRow): boolean
  /** What the row holds instead. */
  detail(row: JudgedRow): string
}

/**
 * What a row must not be. A row that breaks one is put into quarantine by the first it breaks, and no number is made
 * of it. Rules look at the row alone, and never at the time of the run: a row judged again is judged alike.
 * Three reasons are not here, since they are not of one row with a chip and a day: `no_chip`, `no_day` and
 * `duplicate`.
 */
export const rowRules: readonly RowRule[] = [
  {
    name: 'clock_ahead',
    what: `recorded more than ${clockAheadMinutes} minutes after it was stored`,
    breaks: (row) => row.isAhead,
    detail: (row) => `recorded_at ${instantText(row.instantUs)}`,
  },
  {
    name: 'negative_duration',
    what: 'response time or active time below 0',
    breaks: (row) => row.responseTimeMs < 0 || (row.activeMs !== undefined && row.activeMs < 0),
    detail: (row) => `response_time_ms ${row.responseTimeMs}, active_ms ${row.activeMs}`,
  },
  {
    name: 'absurd_response_time',
    what: `response time above ${longestResponseMs} ms, infinite or not a number`,
    breaks: (row) => row.hasResponseTime && !(row.responseTimeMs <= longestResponseMs),
    detail: (row) => `response_time_ms ${row.responseTimeMs}`,
  },
  {
    name: 'absurd_active_time',
    what: 'active for more than a day',
    breaks: (row) => row.activeMs !== undefined && row.activeMs > longestActiveMs,
    detail: (row) => `active_ms ${row.activeMs}`,
  },
  {
    name: 'absurd_battery',
    what: 'charge outside of 0 to 100 %',
    breaks: (row) => row.batteryPercent !== undefined && (row.batteryPercent < 0 || row.batteryPercent > 100),
    detail: (row) => `battery_percent ${row.batteryPercent}`,
  },
  {
    name: 'absurd_movements',
    what: `movements below 0 or above ${mostMovements}`,
    breaks: (row) => row.movements !== undefined && (row.movements < 0 || row.movements > mostMovements),
    detail: (row) => `movement_count ${row.movements}`,
  },
]

/** The first rule that a row breaks. */
export function brokenRule(row: JudgedRow): RowRule | undefined {
  for (const rule of rowRules) if (rule.breaks(row)) return rule
  return undefined
}
