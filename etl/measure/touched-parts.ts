import type { Ownership, OwnershipInTime, Segment } from '../crm/ownership.ts'
import type { OwnershipChanges } from '../crm/standing-ownership.ts'
import type { TimeBounds, Windows } from '../telemetry/telemetry.ts'
import { dayUs } from '../time/instants.ts'
import type { TimeZone } from '../time/time-zones.ts'
import { type Scope, scopeOfParts } from './scope.ts'

/** Some of what a run measures again: which telemetry to read, and what it is all of. */
export type TouchedPart = {
  windows: Windows
  scope: Scope
  /** Whether a day of a chip that is read is in it: a stretch of time may hold a piece of somebody else's day. */
  wants(chipId: string, owner: Ownership | undefined, day: number): boolean
}

/** Days of one chip by whose they are; those of nobody under undefined. */
type DaysByOwner = Map<Ownership | undefined, { zone: TimeZone; days: Set<number> }>

export type TouchedDays = {
  daysOfChip: Map<string, DaysByOwner>
  /** (chip, owner, day) triples. */
  pairs: number
}

/** Which days within the bounds, where their owners live, hold the touched times. */
export function touchedDays(
  touched: Windows,
  ownership: OwnershipInTime,
  bounds: { fromDay: number; toDay: number },
): TouchedDays {
  const daysOfChip: TouchedDays['daysOfChip'] = new Map()
  for (let i = 0; i < touched.chipId.length; i++) {
    const chipId = touched.chipId[i]!
    const byOwner: DaysByOwner = daysOfChip.get(chipId) ?? new Map()
    daysOfChip.set(chipId, byOwner)
    for (const segment of ownership.segmentsOf(chipId)) {
      addDays(byOwner, segment, { fromUs: touched.fromUs[i]!, toUs: touched.toUs[i]! + 1 }, bounds)
    }
  }
  for (const [chipId, byOwner] of daysOfChip) completeDays(byOwner, ownership.segmentsOf(chipId), bounds)
  const pairs = daysOfChip
    .values()
    .reduce((sum, byOwner) => sum + byOwner.values().reduce((count, { days }) => count + days.size, 0), 0)
  return { daysOfChip, pairs }
}

function addDays(
  byOwner: DaysByOwner,
  segment: Segment,
  time: TimeBounds,
  bounds: { fromDay: number; toDay: number },
): void {
  const fromUs = Math.max(time.fromUs, segment.fromUs)
  const toUs = Math.min(time.toUs, segment.toUs)
  if (fromUs >= toUs) return
  const found = byOwner.get(segment.owner) ?? { zone: segment.zone, days: new Set() }
  byOwner.set(segment.owner, found)
  const last = Math.min(segment.zone.dayOf(toUs - 1), bounds.toDay)
  const first = Math.max(segment.zone.dayOf(fromUs), bounds.fromDay)
  for (let day = first; day <= last; day++) found.days.add(day)
}

/**
 * What stands in quarantine, or is nobody's, is known by chip and day: when somebody's piece of a day is measured again, so
 * are the pieces that others have of a day of the same date, where they live.
 */
function completeDays(
  byOwner: DaysByOwner,
  segments: readonly Segment[],
  bounds: { fromDay: number; toDay: number },
): void {
  const all = new Set(byOwner.values().flatMap(({ days }) => days))
  for (const segment of segments) {
    for (const day of all) {
      // Wherever somebody lives, the day lies within these three of UTC.
      const isFar = segment.toUs <= (day - 1) * dayUs || segment.fromUs >= (day + 2) * dayUs
      if (isFar || byOwner.get(segment.owner)?.days.has(day)) continue
      const time = { fromUs: segment.zone.startOf(day), toUs: segment.zone.startOf(day + 1) }
      addDays(byOwner, segment, time, bounds)
    }
  }
}

/**
 * Cuts the touched days into parts of about the same, bounded size. Each prosthesis is in one part alone, that of the
 * chip it has now: no row of the statistics is written twice by one run, once as gone and once as there, under the same
 * version.
 * @param windowsOfPart how many days a part has, about
 */
export function* cutIntoParts(
  touched: TouchedDays,
  changes: OwnershipChanges,
  current: readonly Ownership[],
  bounds: { fromDay: number; toDay: number },
  windowsOfPart: number,
): Generator<TouchedPart> {
  const currentIds = new Set(current.map((row) => row.prosthesisId))
  const chipsWithoutDays = [...changes.chipIds].filter((chipId) => !touched.daysOfChip.has(chipId))
  const prosthesesByChip = Map.groupBy(current, (row) => row.chipId)
  const all = [...touched.daysOfChip, ...chipsWithoutDays.map((chipId) => [chipId, new Map()] as const)]
  // Prostheses that the CRM has no longer have no chip now: they go with the first part.
  let homeless = [...changes.prosthesisIds].filter((id) => !currentIds.has(id))
  const windowsOf = (byOwner: DaysByOwner) => byOwner.values().reduce((sum, { days }) => sum + days.size, 1)
  const windowsOfAll = all.reduce((sum, [, byOwner]) => sum + windowsOf(byOwner), 0)
  const windowsOfEach = windowsOfAll / Math.ceil(windowsOfAll / windowsOfPart)
  for (let start = 0; start < all.length; ) {
    const chips: [string, DaysByOwner][] = []
    for (let windows = 0; start < all.length && windows < windowsOfEach; start++) {
      const [chipId, byOwner] = all[start]!
      chips.push([chipId, byOwner])
      windows += windowsOf(byOwner)
    }
    const wholeProstheses = chips.flatMap(([chipId]) =>
      changes.chipIds.has(chipId) ? (prosthesesByChip.get(chipId) ?? []).map((row) => row.prosthesisId) : [],
    )
    yield partOf(chips, { ...changes, prosthesisIds: new Set([...wholeProstheses, ...homeless]) }, bounds)
    homeless = []
  }
}

function partOf(
  chips: readonly [string, DaysByOwner][],
  whole: OwnershipChanges,
  bounds: { fromDay: number; toDay: number },
): TouchedPart {
  const daysOfProsthesis = new Map<string, Set<number> | undefined>()
  const daysOfChip = new Map<string, Set<number> | undefined>()
  const userIds = new Set(whole.prosthesisIds.size > 0 ? whole.userIds : [])
  const windows: Windows = { chipId: [], fromUs: [], toUs: [] }
  const byChip = new Map(chips)
  for (const id of whole.prosthesisIds) daysOfProsthesis.set(id, undefined)
  for (const [chipId, byOwner] of chips) {
    const chipDays = new Set<number>()
    for (const [owner, { days }] of byOwner) {
      for (const day of days) chipDays.add(day)
      if (!owner) continue
      userIds.add(owner.userId)
      if (!whole.prosthesisIds.has(owner.prosthesisId)) daysOfProsthesis.set(owner.prosthesisId, days)
    }
    daysOfChip.set(chipId, whole.chipIds.has(chipId) ? undefined : chipDays)
    appendWindows(windows, chipId, byOwner)
  }
  return {
    windows,
    scope: scopeOfParts({ userIds, daysOfProsthesis, daysOfChip }, bounds),
    wants: (chipId, owner, day) => byChip.get(chipId)?.get(owner)?.days.has(day) ?? false,
  }
}

/** PostgreSQL packs a stretch into one value, of 1 GB at most, and this process holds it. */
const longestJoinedUs = 7 * dayUs

/** Whole days, those that overlap in one stretch: what belongs to one day is read by one reading. Days that touch are too. */
function appendWindows(windows: Windows, chipId: string, byOwner: DaysByOwner): void {
  const stretches = [...byOwner.values()]
    .flatMap(({ zone, days }) =>
      Array.from(days, (day) => ({ fromUs: zone.startOf(day), toUs: zone.startOf(day + 1) })),
    )
    .sort((a, b) => a.fromUs - b.fromUs)
  let endUs = Number.NEGATIVE_INFINITY
  for (const { fromUs, toUs } of stretches) {
    const isTouching = fromUs === endUs && toUs - windows.fromUs.at(-1)! <= longestJoinedUs
    if (fromUs < endUs || isTouching) windows.toUs[windows.toUs.length - 1] = Math.max(endUs, toUs)
    else {
      windows.chipId.push(chipId)
      windows.fromUs.push(fromUs)
      windows.toUs.push(toUs)
    }
    endUs = windows.toUs.at(-1)!
  }
}
