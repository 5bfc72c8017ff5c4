import { addDays } from '../day.ts'
import type { FleetReport } from '../report-kind.ts'

type Row = FleetReport['rows'][number]

/** `isWhole`: all of its seven days are over, so that its numbers can be compared. */
type FleetWeek = { week: string; isWhole: boolean }

/** A model with one firmware, with its rows by week. */
type FleetGroup = { model: string; firmwareVersion: string; byWeek: Map<string, Row> }

/**
 * The report's table by week and group. Weeks are newest first; groups are where it is worst in the newest whole week first,
 * then those that sent nothing in it.
 * @param options.isOver whether the report's day was over when the device data were read
 */
export function fleetWeeks(
  { date, rows }: Pick<FleetReport, 'date' | 'rows'>,
  { isOver }: { isOver: boolean },
): { weeks: FleetWeek[]; groups: FleetGroup[]; highestRate: number } {
  const lastDayOver = isOver ? date : addDays(date, -1)
  const weeks = [...new Set(rows.map(({ week }) => week))]
    .sort()
    .reverse()
    .map((week) => ({ week, isWhole: addDays(week, 6) <= lastDayOver }))
  const whole = new Set(weeks.filter(({ isWhole }) => isWhole).map(({ week }) => week))
  const [compared] = whole

  const groups = new Map<string, FleetGroup>()
  for (const row of rows) {
    const { model, firmware_version: firmwareVersion } = row
    const key = JSON.stringify([model, firmwareVersion])
    const group = groups.get(key) ?? { model, firmwareVersion, byWeek: new Map() }
    group.byWeek.set(row.week, row)
    groups.set(key, group)
  }
  const rate = ({ byWeek }: FleetGroup) => byWeek.get(compared ?? '')?.error_rate ?? -1
  return {
    weeks,
    groups: [...groups.values()].sort((one, other) => rate(other) - rate(one)),
    highestRate: Math.max(0, ...rows.filter(({ week }) => whole.has(week)).map((row) => row.error_rate)),
  }
}
