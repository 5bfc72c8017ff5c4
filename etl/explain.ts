import { openExtraction } from './extraction.ts'
import { instantText, parseDay } from './instants.ts'
import { wholeRows } from './packed-rows.ts'
import { valuesOf } from './plan.ts'
import { findLastSuccess } from './run-records.ts'
import { createConnections, type RunParts } from './run-session.ts'
import { scopeOfParts } from './scope.ts'
import { readStandingStats } from './standing-stats.ts'

/** A telemetry row, and whether the number is made of it. */
export type ExplainedRow = {
  id: string
  recorded_at: string
  ingested_at: string
  signal: string
  response_time_ms: number | null
  battery_percent: number | null
  error_code: string | null
  movement_count: number | null
  active_ms: number | null
  /** `counted`; or why it is not: the quarantine's reason, or that somebody else had the prosthesis. */
  use: string
}

export type ExplainedDay = {
  prosthesis_id: string
  chip_id: string
  time_zone: string
  /** The day where the user lives, as instants; half-open. */
  from: string
  to: string
  /** What stands, and what the rows come to now; null when there is nothing. They differ when rows are new. */
  standing: Record<string, number | string | null> | null
  computed: Record<string, number | string | null> | null
  rows: ExplainedRow[]
}

const rowsSql = `
  SELECT
    id::text AS id, to_char(recorded_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS recorded_at,
    to_char(ingested_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ingested_at, signal, response_time_ms,
    battery_percent, error_code, movement_count, active_ms
  FROM telemetry_events
  WHERE chip_id = $1 AND recorded_at >= to_timestamp($2) AND recorded_at < to_timestamp($3)
  ORDER BY recorded_at, id`

/** Which rows the numbers of a user's day come from: one entry for each prosthesis the user has, or had, then. */
export async function explainDay(
  parts: RunParts,
  request: { userId: string; day: string },
): Promise<ExplainedDay[]> {
  const day = parseDay(request.day)
  const connections = createConnections(parts.telemetry)
  try {
    const client = await connections.connect()
    const extraction = await openExtraction({
      ...parts,
      client,
      last: await findLastSuccess(parts.warehouse),
    })
    const { crm, ownership, view, createMeasurer, zoneOf, defaultZone } = extraction
    const owned = crm.prostheses.filter(
      (row) =>
        row.userId === request.userId.toLowerCase() &&
        row.issuedDay <= day &&
        (row.returnedDay ?? day + 1) > day,
    )
    const explained: ExplainedDay[] = []
    for (const owner of owned) {
      const zone = zoneOf(owner.timeZone) ?? defaultZone
      const [fromUs, toUs] = [zone.startOf(day), zone.startOf(day + 1)]
      const measurer = createMeasurer()
      const bounds = {
        firstDay: Number.NEGATIVE_INFINITY,
        lastDay: Number.POSITIVE_INFINITY,
        wants: (_: string, of: unknown, on: number) => of === owner && on === day,
      }
      const windows = { chipId: [owner.chipId], fromUs: [fromUs], toUs: [toUs] }
      await view.rowsOfWindows(
        windows,
        (chipId, bytes) => void measurer.add(chipId, wholeRows(bytes), bounds),
      )
      const { userDays, quarantined } = measurer.take()
      const scope = scopeOfParts(
        {
          userIds: new Set([owner.userId]),
          daysOfProsthesis: new Map([[owner.prosthesisId, new Set([day])]]),
          daysOfChip: new Map(),
        },
        { fromDay: day, toDay: day },
      )
      const standing = await readStandingStats(parts.warehouse, scope)
      const reasons = new Map(quarantined.map(({ rowId, reason }) => [String(rowId), reason]))
      const segments = ownership.segmentsOf(owner.chipId)
      const { rows } = await client.query<Omit<ExplainedRow, 'use'>>(rowsSql, [
        owner.chipId,
        fromUs / 1e6,
        toUs / 1e6,
      ])
      explained.push({
        prosthesis_id: owner.prosthesisId,
        chip_id: owner.chipId,
        time_zone: zone.name,
        from: instantText(fromUs),
        to: instantText(toUs),
        standing: standing.length > 0 ? valuesOf(standing, 0) : null,
        computed: userDays.length > 0 ? valuesOf(userDays, 0) : null,
        rows: rows.map((row) => {
          const instantUs = Date.parse(row.recorded_at) * 1000
          const segment = segments.find((one) => instantUs >= one.fromUs && instantUs < one.toUs)
          const isTheirs = segment?.owner === owner
          return { ...row, use: isTheirs ? (reasons.get(row.id) ?? 'counted') : 'somebody else had it' }
        }),
      })
    }
    return explained
  } finally {
    await connections.endAll()
  }
}
