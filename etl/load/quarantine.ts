import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { QuarantinedRow } from '../measure/chip-measurer.ts'
import type { Scope } from '../measure/scope.ts'
import { dayText } from '../time/instants.ts'
import type { Mark } from './mark.ts'
import { chipScopeParams, inChipScope, readStandingOfChips } from './standing-of-chips.ts'

export const quarantinedRow = z.object({
  chipId: z.string(),
  rowId: z.coerce.bigint<string>(),
  day: z.int(),
  recordedAt: z.string(),
  reason: z.string(),
  detail: z.string(),
})

export const quarantineColumns = `
  chip_id AS "chipId", row_id AS "rowId", toUInt16(day) AS "day", recorded_at AS "recordedAt", reason, detail`

const standingQuarantine = defineQuery({
  name: 'etl-standing-quarantine',
  sql: `
    SELECT ${quarantineColumns}
    FROM reports.etl_quarantine FINAL
    WHERE ${inChipScope}`,
  params: chipScopeParams,
  row: quarantinedRow,
})

/** Which rows are asked for; all of them when nothing is said. */
type Choice = { reason?: string | undefined; chip?: string | undefined }

const isChosen =
  '({any_reason:Bool} OR reason = {reason:String}) AND ({any_chip:Bool} OR chip_id = {chip:String})'

const choiceParams = z.object({
  any_reason: z.boolean(),
  reason: z.string(),
  any_chip: z.boolean(),
  chip: z.string(),
})

const paramsOf = ({ reason, chip }: Choice): z.input<typeof choiceParams> => ({
  any_reason: reason === undefined,
  reason: reason ?? '',
  any_chip: chip === undefined,
  chip: chip ?? '',
})

/** As it is listed: ids of int8 reach beyond 2^53, where a number of JSON is rounded by most that read it. */
const listedRow = quarantinedRow.extend({ rowId: z.string() })
type ListedRow = z.infer<typeof listedRow>

const newestQuarantine = defineQuery({
  name: 'etl-newest-quarantine',
  sql: `
    SELECT ${quarantineColumns}
    FROM reports.etl_quarantine FINAL
    WHERE ${isChosen}
    ORDER BY seen_at DESC, chip_id, row_id
    LIMIT {limit:UInt32}`,
  params: choiceParams.extend({ limit: z.int() }),
  row: listedRow,
})

const quarantineCounts = defineQuery({
  name: 'etl-quarantine-counts',
  sql: `
    SELECT reason, count() AS rows FROM reports.etl_quarantine FINAL
    WHERE ${isChosen}
    GROUP BY reason ORDER BY reason`,
  params: choiceParams,
  row: z.object({ reason: z.string(), rows: z.coerce.number<string>() }),
})

/** How many rows are in quarantine, by reason. */
export function countQuarantine(
  warehouse: Warehouse,
  choice: Choice = {},
): Promise<{ reason: string; rows: number }[]> {
  return warehouse.query(quarantineCounts, paramsOf(choice))
}

/** Newest first. */
export function listQuarantine(
  warehouse: Warehouse,
  { limit, ...choice }: Choice & { limit: number },
): Promise<ListedRow[]> {
  return warehouse.query(newestQuarantine, { ...paramsOf(choice), limit })
}

/** The quarantine of a scope, by key. */
export function readStandingQuarantine(
  warehouse: Warehouse,
  scope: Scope,
): Promise<Map<string, QuarantinedRow>> {
  return readStandingOfChips(warehouse, standingQuarantine, scope, keyOf)
}

/**
 * Makes the quarantine what a run has found: new rows come in, and those that are all right now, or gone, come out.
 * @param before what stands, by key, of all that might have been found
 */
export async function writeQuarantine(
  warehouse: Warehouse,
  found: readonly QuarantinedRow[],
  before: Map<string, QuarantinedRow>,
  { version, rewrite }: Mark,
): Promise<void> {
  const fresh = found.filter((row) => {
    const former = before.get(keyOf(row))
    before.delete(keyOf(row))
    return rewrite || !former || !isSame(former, row)
  })
  const rows = [
    ...fresh.map((row) => quarantineRow(row, version, 0)),
    ...[...before.values()].map((row) => quarantineRow(row, version, 1)),
  ]
  for (let start = 0; start < rows.length; start += rowsPerInsert)
    await warehouse.insertRows('reports.etl_quarantine', rows.slice(start, start + rowsPerInsert))
}

const isSame = (a: QuarantinedRow, b: QuarantinedRow): boolean =>
  a.day === b.day && a.recordedAt === b.recordedAt && a.reason === b.reason && a.detail === b.detail

const rowsPerInsert = 50_000

export function keyOf({ chipId, rowId }: QuarantinedRow): string {
  return `${rowId} ${chipId}`
}

function quarantineRow(row: QuarantinedRow, version: number, deleted: 0 | 1): Record<string, unknown> {
  return {
    chip_id: row.chipId,
    row_id: String(row.rowId),
    day: dayText(row.day),
    recorded_at: row.recordedAt,
    reason: row.reason,
    detail: row.detail,
    _version: version,
    _deleted: deleted,
  }
}
