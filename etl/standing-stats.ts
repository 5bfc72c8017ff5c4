import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { type MetricName, metricColumns, metrics } from './metrics.ts'
import type { Scope } from './scope.ts'
import type { UserDays } from './user-days.ts'

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
      firmware_version,
      groupArray(toUInt16(day)) AS days,
      ${metrics.map(({ name }) => `groupArray(ifNull(toFloat64(${name}), nan)) AS ${name}`).join(',\n      ')}
    FROM (
      SELECT *
      FROM reports.stats_by_day FINAL
      WHERE day >= toDate({from_day:UInt16}) AND day <= toDate({to_day:UInt16})
        AND ({any_day:Bool} OR toUInt16(day) IN {days:Array(UInt16)})
        AND ({anybody:Bool} OR user_id IN {user_ids:Array(UUID)})
        AND ({anybody:Bool} OR prosthesis_id IN {prosthesis_ids:Array(UUID)})
    )
    GROUP BY user_id, prosthesis_id, chip_id, model_id, firmware_version`,
  params: z.object({
    from_day: z.int(),
    to_day: z.int(),
    any_day: z.boolean(),
    days: z.array(z.int()),
    anybody: z.boolean(),
    user_ids: z.array(z.string()),
    prosthesis_ids: z.array(z.string()),
  }),
  row: z.object({
    user_id: z.string(),
    prosthesis_id: z.string(),
    chip_id: z.string(),
    model_id: z.int(),
    firmware_version: z.string(),
    days: z.array(z.int()),
    ...(Object.fromEntries(metrics.map(({ name }) => [name, z.array(z.number().nullable())])) as Record<
      MetricName,
      z.ZodArray<z.ZodNullable<z.ZodNumber>>
    >),
  }),
})

/**
 * What stands in `reports.user_prosthesis_stats` within a scope. Read from its copy by day: along the users' key a few
 * days are spread over the whole history. The copy is filled by the insert that fills the table; a row that is not
 * in it, because the insert was cut off, is written again.
 */
export async function readStandingStats(warehouse: Warehouse, scope: Scope): Promise<UserDays> {
  const { days, owners } = scope
  const groups = await warehouse.query(standingStats, {
    from_day: scope.fromDay,
    to_day: scope.toDay,
    any_day: days === undefined,
    days: [...(days ?? [])],
    anybody: owners === undefined,
    user_ids: [...(owners?.userIds ?? [])],
    prosthesis_ids: [...(owners?.prosthesisIds ?? [])],
  })
  // More came than was asked for: every listed prosthesis on every listed day.
  const cells = groups.flatMap((group) =>
    group.days.flatMap((day, place) =>
      scope.includes(group.prosthesis_id, day) ? [{ group, day, place }] : [],
    ),
  )
  return {
    length: cells.length,
    userId: cells.map(({ group }) => group.user_id),
    prosthesisId: cells.map(({ group }) => group.prosthesis_id),
    chipId: cells.map(({ group }) => group.chip_id),
    modelId: Int32Array.from(cells, ({ group }) => group.model_id),
    firmwareVersion: cells.map(({ group }) => group.firmware_version),
    day: Int32Array.from(cells, ({ day }) => day),
    metrics: metricColumns(({ name }) =>
      Float64Array.from(cells, ({ group, place }) => group[name][place] ?? Number.NaN),
    ),
  }
}
