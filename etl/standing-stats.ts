import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { measuresFrom } from './measures.ts'
import { isTouched, type TouchedDays } from './touched-days.ts'
import type { UserDays } from './user-days.ts'

/**
 * Characters of a list in a URL. Longer lists are not sent: the three together must stay below the 16 KiB that
 * Node takes as a request's head, and reading everything is then no slower.
 */
const maxListLength = 4_000

const measureColumn = z.array(z.number().nullable())

/**
 * A row for each run of days, its numbers as arrays: as numbers they are exact (ClickHouse prints the shortest
 * text that reads back to the same bits), and no object is made for a day. groupArray leaves nulls out, hence NaN,
 * which JSON shows as null again.
 */
const standingStats = defineQuery({
  name: 'etl-standing-stats',
  sql: `
    SELECT
      user_id,
      prosthesis_id,
      chip_id,
      model_id,
      groupArray(toUInt16(day)) AS days,
      groupArray(toFloat64(events)) AS events,
      groupArray(toFloat64(errors)) AS errors,
      groupArray(error_rate) AS error_rate,
      groupArray(ifNull(response_time_avg_ms, nan)) AS response_time_avg_ms,
      groupArray(ifNull(response_time_p95_ms, nan)) AS response_time_p95_ms,
      groupArray(ifNull(toFloat64(battery_min_percent), nan)) AS battery_min_percent,
      groupArray(ifNull(battery_avg_percent, nan)) AS battery_avg_percent,
      groupArray(active_minutes) AS active_minutes,
      groupArray(toFloat64(movements)) AS movements
    FROM (
      SELECT *
      FROM reports.user_prosthesis_stats FINAL
      WHERE (({any_chip:Bool} OR chip_id IN {chips:Array(String)}) AND ({any_day:Bool} OR toUInt16(day) IN {days:Array(UInt16)}))
        OR chip_id IN {whole_chips:Array(String)}
    )
    GROUP BY user_id, prosthesis_id, chip_id, model_id`,
  params: z.object({
    any_chip: z.boolean(),
    chips: z.array(z.string()),
    any_day: z.boolean(),
    days: z.array(z.int()),
    whole_chips: z.array(z.string()),
  }),
  row: z.object({
    user_id: z.string(),
    prosthesis_id: z.string(),
    chip_id: z.string(),
    model_id: z.int(),
    days: z.array(z.int()),
    events: measureColumn,
    errors: measureColumn,
    error_rate: measureColumn,
    response_time_avg_ms: measureColumn,
    response_time_p95_ms: measureColumn,
    battery_min_percent: measureColumn,
    battery_avg_percent: measureColumn,
    active_minutes: measureColumn,
    movements: measureColumn,
  }),
})

/** What stands in `reports.user_prosthesis_stats` for the touched pairs. */
export async function readStandingStats(warehouse: Warehouse, touched: TouchedDays): Promise<UserDays> {
  const groups = await warehouse.query(standingStats, standingFilter(touched))
  // More came than was asked for: every listed chip on every listed day.
  const cells = groups.flatMap((group) =>
    group.days.flatMap((day, place) =>
      isTouched(touched, group.chip_id, day) ? [{ group, day, place }] : [],
    ),
  )
  return {
    length: cells.length,
    userId: cells.map(({ group }) => group.user_id),
    prosthesisId: cells.map(({ group }) => group.prosthesis_id),
    chipId: cells.map(({ group }) => group.chip_id),
    modelId: Int32Array.from(cells, ({ group }) => group.model_id),
    day: Int32Array.from(cells, ({ day }) => day),
    measures: measuresFrom((name) =>
      Float64Array.from(cells, ({ group, place }) => group[name][place] ?? Number.NaN),
    ),
  }
}

function standingFilter(touched: TouchedDays): z.input<(typeof standingStats)['params']> {
  const days = [...touched.chipsByDay.keys()]
  const chips = [...new Set([...touched.chipsByDay.values()].flatMap((dayChips) => [...dayChips]))]
  const wholeChips = [...touched.wholeChips]
  const everything = isLong(wholeChips)
  const anyChip = everything || isLong(chips)
  const anyDay = everything || isLong(days)
  return {
    any_chip: anyChip,
    chips: anyChip ? [] : chips,
    any_day: anyDay,
    days: anyDay ? [] : days,
    whole_chips: everything ? [] : wholeChips,
  }
}

function isLong(list: (string | number)[]): boolean {
  return encodeURIComponent(list.map((item) => `'${item}',`).join('')).length > maxListLength
}
