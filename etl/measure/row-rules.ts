import { type ChipRows, clockAheadMinutes, nullInt16, nullInt32 } from '../telemetry/packed-rows.ts'
import { instantText } from '../time/instants.ts'

const longestResponseMs = 60_000
const longestActiveMs = 86_400_000
const mostMovements = 100_000

export type RowRule = {
  name: string
  what: string
  breaks(rows: ChipRows, row: number): boolean
  /** What the row holds instead. */
  detail(rows: ChipRows, row: number): string
}

/**
 * What a row must not be. A row that breaks one is put into quarantine by the first it breaks, and no number is made
 * of it. Rules look at the row alone, and never at the time of the run: a row judged again is judged alike.
 * Some reasons are not here, since they are not of one row with a chip and a day: `no_chip`, `no_day`,
 * `before_first_day` and `duplicate`.
 */
export const rowRules: readonly RowRule[] = [
  {
    name: 'clock_ahead',
    what: `recorded more than ${clockAheadMinutes} minutes after it was stored`,
    breaks: (rows, row) => rows.isAhead[row]! > 0,
    detail: (rows, row) => `recorded_at ${instantText(rows.instantUs[row]!)}`,
  },
  {
    name: 'negative_duration',
    what: 'response time or active time below 0',
    breaks: (rows, row) =>
      rows.responseTimeMs[row]! < 0 || (rows.activeMs[row]! < 0 && rows.activeMs[row] !== nullInt32),
    detail: (rows, row) =>
      Object.entries({ response_time_ms: rows.responseTimeMs[row]!, active_ms: rows.activeMs[row]! })
        .filter(([, value]) => value < 0 && value !== nullInt32)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
  },
  {
    name: 'absurd_response_time',
    what: `response time above ${longestResponseMs} ms, infinite or not a number`,
    // Not above, said so that a NaN is too.
    breaks: (rows, row) =>
      !(rows.responseTimeMs[row]! <= longestResponseMs) && rows.hasResponseTime[row] === 1,
    detail: (rows, row) => `response_time_ms ${rows.responseTimeMs[row]}`,
  },
  {
    name: 'absurd_active_time',
    what: 'active for more than a day',
    breaks: (rows, row) => rows.activeMs[row]! > longestActiveMs,
    detail: (rows, row) => `active_ms ${rows.activeMs[row]}`,
  },
  {
    name: 'absurd_battery',
    what: 'charge outside of 0 to 100 %',
    breaks: (rows, row) =>
      rows.batteryPercent[row]! > 100 ||
      (rows.batteryPercent[row]! < 0 && rows.batteryPercent[row] !== nullInt16),
    detail: (rows, row) => `battery_percent ${rows.batteryPercent[row]}`,
  },
  {
    name: 'absurd_movements',
    what: `movements below 0 or above ${mostMovements}`,
    breaks: (rows, row) =>
      rows.movements[row]! > mostMovements || (rows.movements[row]! < 0 && rows.movements[row] !== nullInt32),
    detail: (rows, row) => `movement_count ${rows.movements[row]}`,
  },
]

/** Every reason for which a row can be in quarantine. */
export const quarantineReasons = [
  ...rowRules.map(({ name }) => name),
  'duplicate',
  'no_chip',
  'no_day',
  'before_first_day',
]

/** The first rule that a row breaks. */
export function brokenRule(rows: ChipRows, row: number): RowRule | undefined {
  for (let i = 0; i < rowRules.length; i++) if (rowRules[i]!.breaks(rows, row)) return rowRules[i]
  return undefined
}
