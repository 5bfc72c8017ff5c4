import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { type MetricName, metricColumns, metrics } from '../measure/metrics.ts'
import type { Scope } from '../measure/scope.ts'
import type { UserDays } from '../measure/user-days.ts'

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
  // More came than was asked for: every listed prosthesis on every listed day. Numbers say where those asked for are.
  const groupOf: number[] = []
  const placeOf: number[] = []
  for (const [i, group] of groups.entries()) {
    for (const [place, day] of group.days.entries()) {
      if (!scope.includes(group.prosthesis_id, day)) continue
      groupOf.push(i)
      placeOf.push(place)
    }
  }
  const ofGroup = <Value>(value: (group: (typeof groups)[number]) => Value): Value[] =>
    groupOf.map((i) => value(groups[i]!))
  const ofPlace = <Value>(values: (group: (typeof groups)[number]) => readonly Value[]): Value[] =>
    groupOf.map((i, row) => values(groups[i]!)[placeOf[row]!]!)
  return {
    length: groupOf.length,
    userId: ofGroup(({ user_id }) => user_id),
    prosthesisId: ofGroup(({ prosthesis_id }) => prosthesis_id),
    chipId: ofGroup(({ chip_id }) => chip_id),
    modelId: Int32Array.from(ofGroup(({ model_id }) => model_id)),
    firmwareVersion: ofGroup(({ firmware_version }) => firmware_version),
    day: Int32Array.from(ofPlace(({ days }) => days)),
    metrics: metricColumns(({ name }) =>
      Float64Array.from(
        ofPlace((group) => group[name]),
        (value) => value ?? Number.NaN,
      ),
    ),
  }
}

/** What stands is read from the statistics themselves: by who finds that their copy by day has lost some, and may not mend it. */
export function withoutCopyByDay(warehouse: Warehouse): Warehouse {
  return {
    ...warehouse,
    query(query, params) {
      const isOfCopy = query.name === standingStats.name
      const sql = isOfCopy ? query.sql.replace('stats_by_day', 'user_prosthesis_stats') : query.sql
      return warehouse.query({ ...query, sql }, params)
    },
  }
}
