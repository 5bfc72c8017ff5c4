import { counted } from '@tendon/platform/counted.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { UnownedChip } from '../measure/chip-measurer.ts'
import type { Scope } from '../measure/scope.ts'
import { dayText } from '../time/instants.ts'
import type { Mark } from './mark.ts'
import { chipScopeParams, inChipScope, readStandingOfChips } from './standing-of-chips.ts'

export function countRows({ rowsOfDay }: UnownedChip): number {
  return rowsOfDay.values().reduce((sum, rows) => sum + rows, 0)
}

/** What a run says of it. */
export function describeUnowned(chip: UnownedChip): string {
  const days = [...chip.rowsOfDay.keys()].sort((a, b) => a - b)
  const what = `${counted(countRows(chip), 'row')} on ${counted(days.length, 'day')}`
  return `${what} from ${dayText(days[0]!)} on: ${whyUnowned(chip.isKnown)}`
}

/** The kind of problem that it is. */
export const unownedKind = (isKnown: boolean): string =>
  isKnown ? 'telemetry_without_owner' : 'unknown_chip'

export const whyUnowned = (isKnown: boolean): string =>
  isKnown ? 'nobody had it then' : 'the CRM does not know the chip'

const unownedDay = z.object({ chipId: z.string(), day: z.int(), rows: z.int(), isKnown: z.boolean() })
export type UnownedDay = z.output<typeof unownedDay>

const standingUnowned = defineQuery({
  name: 'etl-standing-unowned',
  sql: `
    SELECT chip_id AS "chipId", toUInt16(day) AS "day", rows, toBool(is_known) AS "isKnown"
    FROM reports.etl_unowned FINAL
    WHERE ${inChipScope}`,
  params: chipScopeParams,
  row: unownedDay,
})

const unownedChips = defineQuery({
  name: 'etl-unowned-chips',
  sql: `
    SELECT
      chip_id,
      toBool(max(is_known)) AS is_known,
      toUInt32(sum(rows)) AS row_count,
      arraySort(groupArray((toString(day) AS day, rows)::Tuple(day String, rows UInt32))) AS days
    FROM reports.etl_unowned FINAL
    WHERE {any_chip:Bool} OR chip_id = {chip:String}
    GROUP BY chip_id
    ORDER BY row_count DESC, chip_id
    LIMIT {limit:UInt32}`,
  params: z.object({ any_chip: z.boolean(), chip: z.string(), limit: z.int() }),
  row: z.object({
    chip_id: z.string(),
    is_known: z.boolean(),
    row_count: z.int(),
    days: z.array(z.object({ day: z.iso.date(), rows: z.int() })),
  }),
})

/** Telemetry of a chip that belongs to nobody; `is_known`: the CRM has the chip, and nobody had it on these days. */
export type ListedChip = z.output<typeof unownedChips.row>

/** Those with the most rows first. */
export function listUnowned(
  warehouse: Warehouse,
  { chip, limit }: { chip?: string | undefined; limit: number },
): Promise<ListedChip[]> {
  return warehouse.query(unownedChips, { any_chip: chip === undefined, chip: chip ?? '', limit })
}

/** What is listed of a scope, by key. */
export function readStandingUnowned(warehouse: Warehouse, scope: Scope): Promise<Map<string, UnownedDay>> {
  return readStandingOfChips(warehouse, standingUnowned, scope, keyOf)
}

/**
 * Makes what is listed what a run has found.
 * @param before what stands, by key, of all that might have been found
 */
export async function writeUnowned(
  warehouse: Warehouse,
  found: ReadonlyMap<string, UnownedChip>,
  before: Map<string, UnownedDay>,
  { version, rewrite }: Mark,
): Promise<void> {
  const rows: Record<string, unknown>[] = []
  for (const [chipId, { rowsOfDay, isKnown }] of found) {
    for (const [day, count] of rowsOfDay) {
      const now = { chipId, day, rows: count, isKnown }
      const former = before.get(keyOf(now))
      before.delete(keyOf(now))
      if (rewrite || former?.rows !== count || former.isKnown !== isKnown)
        rows.push(unownedRow(now, version, 0))
    }
  }
  for (const gone of before.values()) rows.push(unownedRow(gone, version, 1))
  if (rows.length > 0) await warehouse.insertRows('reports.etl_unowned', rows)
}

const keyOf = ({ chipId, day }: UnownedDay) => `${day} ${chipId}`

function unownedRow(row: UnownedDay, version: number, deleted: 0 | 1): Record<string, unknown> {
  return {
    chip_id: row.chipId,
    day: dayText(row.day),
    rows: row.rows,
    is_known: row.isKnown ? 1 : 0,
    _version: version,
    _deleted: deleted,
  }
}
