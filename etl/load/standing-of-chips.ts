import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Query } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { Scope } from '../measure/scope.ts'

/** Narrows a table by `chip_id` and `day` to what may lie in a scope, by the binds of `chipScopeParams`. */
export const inChipScope = `(toUInt16(day) BETWEEN {from_day:UInt16} AND {to_day:UInt16})
      AND ({any_chip:Bool} OR chip_id IN {chips:Array(String)})`

export const chipScopeParams = z.object({
  from_day: z.int(),
  to_day: z.int(),
  any_chip: z.boolean(),
  chips: z.array(z.string()),
})

/** What stands in a scope, by key. */
export async function readStandingOfChips<Row extends { chipId: string; day: number }>(
  warehouse: Warehouse,
  query: Query<typeof chipScopeParams, z.ZodType<Row>>,
  scope: Scope,
  keyOf: (row: Row) => string,
): Promise<Map<string, Row>> {
  const { fromDay, toDay, chipIds, includesChip } = scope
  if (chipIds?.length === 0) return new Map()
  const standing = await warehouse.query(query, {
    from_day: fromDay,
    to_day: toDay,
    any_chip: chipIds === undefined,
    chips: [...(chipIds ?? [])],
  })
  return new Map(standing.filter((row) => includesChip(row.chipId, row.day)).map((row) => [keyOf(row), row]))
}
