import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { Ownership } from './ownership.ts'

/** What was written for a day, the newest of each prosthesis, whether it stands or was taken back. */
const writtenOwners = defineQuery({
  name: 'etl-written-owners',
  sql: `
    SELECT
      prosthesis_id AS "prosthesisId",
      chip_id AS "chipId",
      model_id AS "modelId",
      toUInt32(_version) AS "runSeq",
      toBool(_deleted) AS "isTakenBack"
    FROM reports.user_prosthesis_stats
    WHERE user_id = {user_id:UUID} AND toUInt16(day) = {day:UInt16}
    ORDER BY _version DESC
    LIMIT 1 BY prosthesis_id`,
  params: z.object({ user_id: z.string(), day: z.int() }),
  row: z.object({
    prosthesisId: z.string(),
    chipId: z.string(),
    modelId: z.int(),
    runSeq: z.int(),
    isTakenBack: z.boolean(),
  }),
})

/**
 * Where somebody lived, as runs last saw it while they had a prosthesis. `etl_ownership` has only the last owner of
 * each, and what runs noted as they began has those before, for 400 days.
 */
const zonesOfOwner = defineQuery({
  name: 'etl-zones-of-owner',
  sql: `
    SELECT prosthesis_id AS "prosthesisId", argMax(time_zone, seen) AS "timeZone"
    FROM (
      SELECT prosthesis_id, time_zone, _version AS seen FROM reports.etl_ownership WHERE user_id = {user_id:UUID}
      UNION ALL
      SELECT prosthesis_id, time_zone, run_seq AS seen FROM reports.etl_ownership_in_use WHERE user_id = {user_id:UUID}
    )
    GROUP BY prosthesis_id`,
  params: z.object({ user_id: z.string() }),
  row: z.object({ prosthesisId: z.string(), timeZone: z.string() }),
})

/** Somebody for whom something was written, and the run that has taken it back, if one has. */
export type FormerOwner = Ownership & { takenBackBy: number | undefined }

/**
 * All for whom something was written for this day, as if they had had the prosthesis on this day alone. The time zone
 * is empty where no run has noted one.
 */
export async function readFormerOwners(
  warehouse: Warehouse,
  userId: string,
  day: number,
): Promise<FormerOwner[]> {
  const [written, zones] = await Promise.all([
    warehouse.query(writtenOwners, { user_id: userId, day }),
    warehouse.query(zonesOfOwner, { user_id: userId }),
  ])
  const zoneById = new Map(zones.map(({ prosthesisId, timeZone }) => [prosthesisId, timeZone]))
  return written.map(({ runSeq, isTakenBack, ...row }) => ({
    ...row,
    userId,
    issuedDay: day,
    returnedDay: day + 1,
    timeZone: zoneById.get(row.prosthesisId) ?? '',
    takenBackBy: isTakenBack ? runSeq : undefined,
  }))
}
