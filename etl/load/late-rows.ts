import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { Ownership } from '../crm/ownership.ts'
import type { OwnershipChanges } from '../crm/standing-ownership.ts'
import { noDay } from '../measure/unmeasurable.ts'
import type { TimeBounds, Windows } from '../telemetry/telemetry.ts'
import { dayUs, instantText } from '../time/instants.ts'

/**
 * The rows that a run may put off to a day to come are few, and found before FINAL merges all that is in quarantine. As text,
 * infinite times lie outside of any bounds.
 */
const putOff = defineQuery({
  name: 'etl-put-off',
  sql: `
    SELECT
      chip_id AS "chipId",
      toFloat64(toUnixTimestamp64Micro(parseDateTime64BestEffort(min(recorded_at), 6, 'UTC'))) AS "fromUs",
      toFloat64(toUnixTimestamp64Micro(parseDateTime64BestEffort(max(recorded_at), 6, 'UTC'))) AS "toUs"
    FROM reports.etl_quarantine FINAL
    WHERE toUInt16(day) = 0 AND recorded_at >= {from:String} AND recorded_at < {to:String} AND chip_id IN (
      SELECT chip_id FROM reports.etl_quarantine
      WHERE toUInt16(day) = 0 AND recorded_at >= {from:String} AND recorded_at < {to:String} AND chip_id != ''
    )
    GROUP BY chip_id, substring(recorded_at, 1, 10)`,
  params: z.object({ from: z.string(), to: z.string() }),
  row: z.object({ chipId: z.string(), fromUs: z.number(), toUs: z.number() }),
})

/** Rows in quarantine that were too far ahead to have a day that is measured, and have one now. */
export async function readPutOff(warehouse: Warehouse, { fromUs, toUs }: TimeBounds): Promise<Windows> {
  const found = await warehouse.query(putOff, { from: instantText(fromUs), to: instantText(toUs) })
  return {
    chipId: found.map((row) => row.chipId),
    fromUs: found.map((row) => row.fromUs),
    toUs: found.map((row) => row.toUs),
  }
}

/** An insert of a process that is gone does not go on for longer. */
const lateHours = 24

const failedBefore = defineQuery({
  name: 'etl-failed-before',
  sql: `
    SELECT toUInt32(run_seq) AS "runSeq"
    FROM reports.etl_runs FINAL
    WHERE state = 'failed' AND run_seq < {last_seq:UInt64} AND finished_at > fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')`,
  params: z.object({ last_seq: z.int(), since_ms: z.int() }),
  row: z.object({ runSeq: z.int() }),
})

/** Telemetry that is nobody's, or makes no number, has no owner. */
const daysOfRuns = defineQuery({
  name: 'etl-days-of-runs',
  sql: `
    SELECT "prosthesisId", "userId", "chipId", groupUniqArray(toUInt16(date)) AS days
    FROM
    (
      SELECT toString(prosthesis_id) AS "prosthesisId", toString(user_id) AS "userId", chip_id AS "chipId", day AS date
      FROM reports.stats_by_day FINAL
      WHERE _version IN {run_seqs:Array(UInt64)}
      UNION ALL
      SELECT '', '', chip_id, day FROM reports.etl_unowned FINAL WHERE _version IN {run_seqs:Array(UInt64)}
      UNION ALL
      SELECT '', '', chip_id, day FROM reports.etl_quarantine FINAL WHERE _version IN {run_seqs:Array(UInt64)}
    )
    GROUP BY ALL`,
  params: z.object({ run_seqs: z.array(z.int()) }),
  row: z.object({
    prosthesisId: z.string(),
    userId: z.string(),
    chipId: z.string(),
    days: z.array(z.int()),
  }),
})

/** Days of a chip and its owner; day 0 stands for rows that have none. */
export type LateDays = z.output<typeof daysOfRuns.row>

/**
 * What stands by runs that failed before the last one that succeeded. That one has written over all it could see of
 * them: ClickHouse has done later what such a run had told it to. Or it was a part of a backfill, of days in which the
 * other found nothing new; those are right, and measured again once.
 */
export async function readLateDays(warehouse: Warehouse, lastSeq: number, now: Date): Promise<LateDays[]> {
  const sinceMs = now.getTime() - lateHours * 3_600_000
  const failed = await warehouse.query(failedBefore, { last_seq: lastSeq, since_ms: sinceMs })
  if (failed.length === 0) return []
  return warehouse.query(daysOfRuns, { run_seqs: failed.map(({ runSeq }) => runSeq) })
}

/** These days, and those beside them: days of owners begin at other times than UTC's. */
export function windowsOfLate(late: readonly LateDays[]): Windows {
  const windows: Windows = { chipId: [], fromUs: [], toUs: [] }
  for (const { chipId, days } of late) {
    for (const day of days) {
      if (chipId === '' || day === noDay) continue
      windows.chipId.push(chipId)
      windows.fromUs.push((day - 1) * dayUs)
      windows.toUs.push((day + 2) * dayUs - 1)
    }
  }
  return windows
}

/** Chips that have rows without a day. */
export function lateUnmeasurableChips(late: readonly LateDays[]): string[] {
  return [...new Set(late.flatMap(({ chipId, days }) => (days.includes(noDay) ? [chipId] : [])))]
}

/**
 * Days of an owner whom the CRM does not name for them are measured by no chip's days: they are found by their owner,
 * as if the ownership had changed.
 */
export function withLateOwners(
  changes: OwnershipChanges,
  late: readonly LateDays[],
  current: readonly Ownership[],
): OwnershipChanges {
  const byId = new Map(current.map((row) => [row.prosthesisId, row]))
  const ofOtherOwners = late.filter(({ prosthesisId, userId, chipId, days }) => {
    if (prosthesisId === '') return false
    const owner = byId.get(prosthesisId)
    if (owner?.userId !== userId || owner.chipId !== chipId) return true
    return days.some((day) => owner.issuedDay > day || (owner.returnedDay ?? day + 1) <= day)
  })
  if (ofOtherOwners.length === 0) return changes
  const chipIds = new Set(
    ofOtherOwners.flatMap(({ chipId, prosthesisId }) => [chipId, byId.get(prosthesisId)?.chipId ?? chipId]),
  )
  const concerned = [...ofOtherOwners, ...current.filter((row) => chipIds.has(row.chipId))]
  return {
    ...changes,
    chipIds: new Set([...changes.chipIds, ...chipIds]),
    prosthesisIds: new Set([...changes.prosthesisIds, ...concerned.map((row) => row.prosthesisId)]),
    userIds: new Set([...changes.userIds, ...concerned.map((row) => row.userId)]),
  }
}
