import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { dayUs } from './instants.ts'
import type { Ownership } from './ownership.ts'
import type { OwnershipChanges } from './standing-ownership.ts'
import type { Windows } from './telemetry.ts'

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

/** Rows of telemetry that is nobody's, or makes no number, have no owner. */
const rowsOfRuns = defineQuery({
  name: 'etl-rows-of-runs',
  sql: `
    SELECT toString(prosthesis_id) AS "prosthesisId", toString(user_id) AS "userId", chip_id AS "chipId", toUInt16(day) AS "day"
    FROM reports.stats_by_day FINAL
    WHERE _version IN {run_seqs:Array(UInt64)}
    UNION ALL
    SELECT '', '', chip_id, toUInt16(day) FROM reports.etl_unowned FINAL WHERE _version IN {run_seqs:Array(UInt64)}
    UNION ALL
    SELECT DISTINCT '', '', chip_id, toUInt16(day) FROM reports.etl_quarantine FINAL WHERE _version IN {run_seqs:Array(UInt64)}`,
  params: z.object({ run_seqs: z.array(z.int()) }),
  row: z.object({ prosthesisId: z.string(), userId: z.string(), chipId: z.string(), day: z.int() }),
})

export type LateRow = z.output<typeof rowsOfRuns.row>

/**
 * What stands by runs that failed before the last one that succeeded. That one has written over all it could see of
 * them: ClickHouse has done later what such a run had told it to. Or it was a part of a backfill, of days in which the
 * other found nothing new; those are right, and measured again once.
 */
export async function readLateRows(warehouse: Warehouse, lastSeq: number, now: Date): Promise<LateRow[]> {
  const sinceMs = now.getTime() - lateHours * 3_600_000
  const failed = await warehouse.query(failedBefore, { last_seq: lastSeq, since_ms: sinceMs })
  if (failed.length === 0) return []
  return warehouse.query(rowsOfRuns, { run_seqs: failed.map(({ runSeq }) => runSeq) })
}

/** The days of these rows, and those beside them: days of owners begin at other times than UTC's. */
export function windowsOfLate(rows: readonly LateRow[]): Windows {
  const measured = rows.filter(({ chipId, day }) => chipId !== '' && day > 0)
  return {
    chipId: measured.map(({ chipId }) => chipId),
    fromUs: measured.map(({ day }) => (day - 1) * dayUs),
    toUs: measured.map(({ day }) => (day + 2) * dayUs - 1),
  }
}

/**
 * Rows of an owner whom the CRM does not name for that day are measured by no chip's days: they are found by their owner,
 * as if the ownership had changed.
 */
export function withLateOwners(
  changes: OwnershipChanges,
  rows: readonly LateRow[],
  current: readonly Ownership[],
): OwnershipChanges {
  const byId = new Map(current.map((row) => [row.prosthesisId, row]))
  const strangers = rows.filter(({ prosthesisId, userId, chipId, day }) => {
    if (prosthesisId === '') return false
    const owner = byId.get(prosthesisId)
    const had = owner && owner.issuedDay <= day && (owner.returnedDay ?? day + 1) > day
    return !had || owner.userId !== userId || owner.chipId !== chipId
  })
  if (strangers.length === 0) return changes
  const chipIds = new Set(
    strangers.flatMap(({ chipId, prosthesisId }) => [chipId, byId.get(prosthesisId)?.chipId ?? chipId]),
  )
  const concerned = [...strangers, ...current.filter((row) => chipIds.has(row.chipId))]
  return {
    ...changes,
    chipIds: new Set([...changes.chipIds, ...chipIds]),
    prosthesisIds: new Set([...changes.prosthesisIds, ...concerned.map((row) => row.prosthesisId)]),
    userIds: new Set([...changes.userIds, ...concerned.map((row) => row.userId)]),
  }
}
