import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { readFormerOwners } from '../crm/former-owners.ts'
import { indexOwnership, type Ownership, type OwnershipInTime } from '../crm/ownership.ts'
import { readStandingStats } from '../load/standing-stats.ts'
import { createChipMeasurer, type Measured } from '../measure/chip-measurer.ts'
import { scopeOfParts } from '../measure/scope.ts'
import { type UserDays, valuesOf } from '../measure/user-days.ts'
import type { ReadingConfig } from '../options.ts'
import { wholeRows } from '../telemetry/packed-rows.ts'
import type { TimeBounds } from '../telemetry/telemetry.ts'
import { instantText, parseDay } from '../time/instants.ts'
import { type Extraction, openView, readExtraction } from './extraction.ts'
import { createConnections } from './run-connections.ts'
import { findLastSuccess } from './run-records.ts'
import type { ReadingParts } from './run-session.ts'

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

type ZoneSource = 'crm' | 'run' | 'default'

export type ExplainedDay = {
  prosthesis_id: string
  chip_id: string
  time_zone: string
  /** Who says so: the CRM; a run that saw the owner who is gone; or nobody, and it is the default zone. */
  time_zone_from: ZoneSource
  /** The day where the user lives, as instants; half-open. */
  from: string
  to: string
  /** The CRM says no longer that they had it then: what stands is taken back by the next run, or was by one. */
  is_gone: boolean
  taken_back_by_run: number | null
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

/** Who has, or had, a prosthesis on the day that is asked for. */
type Owner = Ownership & { zoneFrom: ZoneSource; takenBackBy: number | undefined; isGone: boolean }

/**
 * Which rows the numbers of a user's day come from: one entry for each prosthesis the user has, or had, then. Also for
 * those that the CRM gives to nobody or to somebody else by now, whose numbers are taken back.
 */
export async function explainDay(
  parts: ReadingParts & { config: ReadingConfig },
  request: { userId: string; day: string },
): Promise<ExplainedDay[]> {
  const day = parseDay(request.day)
  const userId = request.userId.toLowerCase()
  const connections = createConnections(parts.telemetry)
  try {
    const client = await connections.connect()
    const last = await findLastSuccess(parts.warehouse)
    const extraction = await readExtraction({ ...parts, last }, openView(client, parts.config))
    const owned = extraction.crm.prostheses
      .filter((row) => row.userId === userId && row.issuedDay <= day && (row.returnedDay ?? day + 1) > day)
      .map((row): Owner => ({ ...row, zoneFrom: 'crm', isGone: false, takenBackBy: undefined }))
    const ids = new Set(owned.map(({ prosthesisId }) => prosthesisId))
    const theirZone = extraction.crm.prostheses.find((row) => row.userId === userId)?.timeZone ?? ''
    const former = (await readFormerOwners(parts.warehouse, userId, day))
      .filter(({ prosthesisId }) => !ids.has(prosthesisId))
      .map((row): Owner => {
        const zone = row.timeZone
          ? { zoneFrom: 'run' as const }
          : { timeZone: theirZone, zoneFrom: 'crm' as const }
        return { ...row, ...zone, isGone: true }
      })
    const explained: ExplainedDay[] = []
    for (const owner of [...owned, ...former]) {
      explained.push(await explainOwner(parts.warehouse, client, extraction, owner, day))
    }
    return explained
  } finally {
    await connections.endAll()
  }
}

async function explainOwner(
  warehouse: Warehouse,
  client: pg.Client,
  extraction: Extraction,
  owner: Owner,
  day: number,
): Promise<ExplainedDay> {
  const { crm, zoneOf, defaultZone } = extraction
  const { prosthesisId, chipId, isGone, takenBackBy } = owner
  const known = owner.timeZone === '' ? undefined : zoneOf(owner.timeZone)
  const zone = known ?? defaultZone
  const [fromUs, toUs] = [zone.startOf(day), zone.startOf(day + 1)]
  // Who is gone is asked for as if nobody else had it.
  const ownership = indexOwnership(isGone ? [owner] : crm.prostheses, zoneOf, defaultZone)
  const { userDays, quarantined } = await measureDay(extraction, ownership, owner, day, { fromUs, toUs })
  const standing = await readStandingDay(warehouse, owner, day)
  const reasons = new Map(quarantined.map(({ rowId, reason }) => [String(rowId), reason]))
  const segments = ownership.segmentsOf(chipId)
  const { rows } = await client.query<Omit<ExplainedRow, 'use'>>(rowsSql, [chipId, fromUs / 1e6, toUs / 1e6])
  return {
    prosthesis_id: prosthesisId,
    chip_id: chipId,
    time_zone: zone.name,
    time_zone_from: known ? owner.zoneFrom : 'default',
    from: instantText(fromUs),
    to: instantText(toUs),
    is_gone: isGone,
    taken_back_by_run: takenBackBy ?? null,
    standing: standing.length > 0 ? valuesOf(standing, 0) : null,
    computed: userDays.length > 0 ? valuesOf(userDays, 0) : null,
    rows: rows.map((row) => {
      const instantUs = Date.parse(row.recorded_at) * 1000
      const segment = segments.find((one) => instantUs >= one.fromUs && instantUs < one.toUs)
      const isTheirs = segment?.owner?.prosthesisId === prosthesisId
      const use = isTheirs ? (reasons.get(row.id) ?? 'counted') : 'somebody else had it'
      return { ...row, use }
    }),
  }
}

/** What the rows of a day come to now, and which of them do not count. */
async function measureDay(
  { view, firmware }: Extraction,
  ownership: OwnershipInTime,
  { prosthesisId, chipId }: Owner,
  day: number,
  { fromUs, toUs }: TimeBounds,
): Promise<Measured> {
  const measurer = createChipMeasurer(ownership, firmware.on)
  const bounds = {
    firstDay: Number.NEGATIVE_INFINITY,
    lastDay: Number.POSITIVE_INFINITY,
    wants: (_: string, of: Ownership | undefined, on: number) =>
      of?.prosthesisId === prosthesisId && on === day,
  }
  const windows = { chipId: [chipId], fromUs: [fromUs], toUs: [toUs] }
  await view.rowsOfWindows(windows, (chip, bytes) => void measurer.add(chip, wholeRows(bytes), bounds))
  return measurer.take()
}

function readStandingDay(
  warehouse: Warehouse,
  { userId, prosthesisId }: Owner,
  day: number,
): Promise<UserDays> {
  const parts = {
    userIds: new Set([userId]),
    daysOfProsthesis: new Map([[prosthesisId, new Set([day])]]),
    daysOfChip: new Map(),
  }
  return readStandingStats(warehouse, scopeOfParts(parts, { fromDay: day, toDay: day }))
}
