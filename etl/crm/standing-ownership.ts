import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { Ownership } from './ownership.ts'

const standingOwnership = defineQuery({
  name: 'etl-standing-ownership',
  sql: `
    SELECT
      prosthesis_id AS "prosthesisId",
      user_id AS "userId",
      chip_id AS "chipId",
      model_id AS "modelId",
      issued_day AS "issuedDay",
      returned_day AS "returnedDay",
      time_zone AS "timeZone"
    FROM reports.etl_ownership FINAL`,
  params: z.object({}),
  row: z.object({
    prosthesisId: z.string(),
    userId: z.string(),
    chipId: z.string(),
    modelId: z.int(),
    issuedDay: z.int(),
    returnedDay: z.int().nullable(),
    timeZone: z.string(),
  }),
})

/** Ownership by which rows that stand may have been measured. */
export type FormerOwnership = Ownership & {
  /** A run that succeeded has seen it, and measured all that follows from it; others may have measured a part. */
  isSettled: boolean
  /** The CRM did not have it: its rows may have been taken back. */
  isGone: boolean
}

const ownershipInUse = defineQuery({
  name: 'etl-ownership-in-use',
  sql: `
    SELECT
      prosthesis_id AS "prosthesisId",
      user_id AS "userId",
      chip_id AS "chipId",
      model_id AS "modelId",
      issued_day AS "issuedDay",
      returned_day AS "returnedDay",
      time_zone AS "timeZone",
      toBool(is_gone) AS "isGone"
    FROM reports.etl_ownership_in_use
    WHERE run_seq > {after:UInt64}`,
  params: z.object({ after: z.int() }),
  row: standingOwnership.row.extend({ isGone: z.boolean() }),
})

/**
 * Ownership as the last run that succeeded has seen it, and as all since then have, which may have loaded something by it:
 * of one prosthesis there may be several.
 * @param lastSeq number of the last run that succeeded; 0 when none is known, and nothing is settled
 */
export async function readStandingOwnership(
  warehouse: Warehouse,
  lastSeq: number,
): Promise<FormerOwnership[]> {
  const [standing, inUse] = await Promise.all([
    warehouse.query(standingOwnership, {}),
    warehouse.query(ownershipInUse, { after: lastSeq }),
  ])
  return [
    ...standing.map((row) => ({ ...row, isSettled: lastSeq > 0, isGone: false })),
    ...inUse.map((row) => ({ ...row, isSettled: false })),
  ]
}

export type OwnershipChanges = {
  /** As it is now, of those that are new or differ. */
  changed: Ownership[]
  /** As it was, of those that are gone. */
  gone: Ownership[]
  /** Chips of which every day is to be measured: those that changed prostheses have, and those they had. */
  chipIds: Set<string>
  /** Every prosthesis that has one of these chips, or had: its days are all in question. */
  prosthesisIds: Set<string>
  /** Who has these prostheses, and who had them. */
  userIds: Set<string>
}

/**
 * Compares ownership as it is with how runs have seen it. Nothing else tells a run what changed in the CRM: neither how
 * the changes arrived, nor in which order, nor how long their log is kept.
 */
export function compareOwnership(
  now: readonly Ownership[],
  before: readonly FormerOwnership[],
): OwnershipChanges {
  const formerById = Map.groupBy(before, (row) => row.prosthesisId)
  const changed = now.filter((row) => {
    const former = formerById.get(row.prosthesisId) ?? []
    formerById.delete(row.prosthesisId)
    return !former.some((one) => one.isSettled) || former.some((one) => one.isGone || !isSame(one, row))
  })
  const gone = [...formerById.values()].flat()
  const changedIds = new Set(changed.map((row) => row.prosthesisId))
  const formerOfChanged = before.filter((row) => changedIds.has(row.prosthesisId))
  const chipIds = new Set([...changed, ...gone, ...formerOfChanged].map((row) => row.chipId))
  const related = [...now, ...before].filter((row) => chipIds.has(row.chipId))
  return {
    changed,
    gone,
    chipIds,
    prosthesisIds: new Set(related.map((row) => row.prosthesisId)),
    userIds: new Set(related.map((row) => row.userId)),
  }
}

function isSame(a: Ownership, b: Ownership): boolean {
  return (
    a.userId === b.userId &&
    a.chipId === b.chipId &&
    a.modelId === b.modelId &&
    a.issuedDay === b.issuedDay &&
    a.returnedDay === b.returnedDay &&
    a.timeZone === b.timeZone
  )
}

/**
 * Notes what a run measures by, before it loads anything: it may die, and the CRM may say something else, or the former
 * again, when the next run looks.
 */
export async function noteOwnershipInUse(
  warehouse: Warehouse,
  changes: OwnershipChanges,
  runSeq: number,
): Promise<void> {
  const rows = ownershipRows(changes, (isGone) => ({ run_seq: runSeq, is_gone: isGone }))
  if (rows.length > 0) await warehouse.insertRows('reports.etl_ownership_in_use', rows)
}

/** Keeps what a run has seen; called when all that follows from it is loaded. */
export async function keepOwnership(
  warehouse: Warehouse,
  changes: OwnershipChanges,
  version: number,
): Promise<void> {
  const rows = ownershipRows(changes, (isGone) => ({ _version: version, _deleted: isGone }))
  if (rows.length > 0) await warehouse.insertRows('reports.etl_ownership', rows)
}

function ownershipRows(
  { changed, gone }: OwnershipChanges,
  mark: (isGone: 0 | 1) => Record<string, unknown>,
): Record<string, unknown>[] {
  return [
    ...changed.map((row) => ({ ...ownershipRow(row), ...mark(0) })),
    ...gone.map((row) => ({ ...ownershipRow(row), ...mark(1) })),
  ]
}

function ownershipRow(row: Ownership): Record<string, unknown> {
  return {
    prosthesis_id: row.prosthesisId,
    user_id: row.userId,
    chip_id: row.chipId,
    model_id: row.modelId,
    issued_day: row.issuedDay,
    returned_day: row.returnedDay,
    time_zone: row.timeZone,
  }
}
