import type { TimeZone } from '../time/time-zones.ts'

/** Who had a prosthesis, and when: one prosthesis of the CRM with its customer's time zone. */
export type Ownership = {
  prosthesisId: string
  userId: string
  chipId: string
  modelId: number
  /** First day, in days since 1970-01-01, where the customer lives. */
  issuedDay: number
  /** The first day it was no longer theirs; null while it is. */
  returnedDay: number | null
  /** IANA name as the CRM has it; empty when the customer is not known (yet). */
  timeZone: string
}

/** A stretch of a chip's time: whose it is, and by which zone its days are cut. Half-open: [fromUs, toUs). */
export type Segment = {
  fromUs: number
  toUs: number
  zone: TimeZone
  /** Undefined: nobody had the chip, or the CRM does not know it. */
  owner: Ownership | undefined
}

/** Something that is wrong with the data, and not with the run. */
export type Problem = { kind: string; subject: string; detail: string }

export type OwnershipInTime = {
  /** Whether the CRM has a prosthesis with this chip at all. */
  knows(chipId: string): boolean
  /** A chip's time from beginning to end, without gaps, in order. */
  segmentsOf(chipId: string): readonly Segment[]
  problems: Problem[]
}

/**
 * Answers who had a chip when. Ownership is the half-open interval of days [issued, returned) where the owner lives:
 * on the day a prosthesis comes back and goes out again its telemetry belongs to the new owner alone. Where
 * intervals of a chip overlap, as when a return was never entered, the later issue wins.
 */
export function indexOwnership(
  rows: readonly Ownership[],
  zoneOf: (name: string) => TimeZone | undefined,
  defaultZone: TimeZone,
): OwnershipInTime {
  const byChip = Map.groupBy(rows, (row) => row.chipId)
  const segments = new Map<string, readonly Segment[]>()
  const nobody: readonly Segment[] = [
    {
      fromUs: Number.NEGATIVE_INFINITY,
      toUs: Number.POSITIVE_INFINITY,
      zone: defaultZone,
      owner: undefined,
    },
  ]
  const zoneOfRow = (row: Ownership) => zoneOf(row.timeZone) ?? defaultZone

  return {
    knows: (chipId) => byChip.has(chipId),
    segmentsOf(chipId) {
      const owners = byChip.get(chipId)
      if (!owners) return nobody
      let found = segments.get(chipId)
      if (!found) {
        found = owners
          .toSorted(earliestIssueFirst)
          .reduce((before, owner) => withOwner(before, owner, zoneOfRow(owner)), nobody)
        segments.set(chipId, found)
      }
      return found
    },
    problems: [...overlaps(byChip), ...backwards(rows), ...unknownZones(rows, zoneOf)],
  }
}

/** The later issue takes its time from whoever had it before. */
function withOwner(segments: readonly Segment[], owner: Ownership, zone: TimeZone): Segment[] {
  const fromUs = zone.startOf(owner.issuedDay)
  const toUs = owner.returnedDay === null ? Number.POSITIVE_INFINITY : zone.startOf(owner.returnedDay)
  if (toUs <= fromUs) return [...segments]
  const before = segments.flatMap((segment) =>
    segment.fromUs < fromUs ? [{ ...segment, toUs: Math.min(segment.toUs, fromUs) }] : [],
  )
  const after = segments.flatMap((segment) =>
    segment.toUs > toUs ? [{ ...segment, fromUs: Math.max(segment.fromUs, toUs) }] : [],
  )
  return [...before, { fromUs, toUs, zone, owner }, ...after]
}

/** The id decides between issues of the same day, so that every run decides alike. */
function earliestIssueFirst(a: Ownership, b: Ownership): number {
  return a.issuedDay - b.issuedDay || (a.prosthesisId < b.prosthesisId ? -1 : 1)
}

/** Each is compared with the one of those before it that ends last: it may reach over several that came back meanwhile. */
function overlaps(byChip: Map<string, Ownership[]>): Problem[] {
  const problems: Problem[] = []
  for (const [chip, owners] of byChip) {
    let latest: Ownership | undefined
    // Who has it for no day, or returned it before the issue, overlaps with nobody.
    for (const owner of owners.filter((row) => endOf(row) > row.issuedDay).sort(earliestIssueFirst)) {
      if (latest && endOf(latest) > owner.issuedDay) {
        const detail = `prosthesis ${latest.prosthesisId} has not come back when ${owner.prosthesisId} is issued`
        problems.push({ kind: 'overlapping_ownership', subject: chip, detail })
      }
      if (!latest || endOf(owner) >= endOf(latest)) latest = owner
    }
  }
  return problems
}

const endOf = ({ returnedDay }: Ownership): number => returnedDay ?? Number.POSITIVE_INFINITY

function backwards(rows: readonly Ownership[]): Problem[] {
  return rows.flatMap((row) =>
    row.returnedDay !== null && row.returnedDay < row.issuedDay
      ? [{ kind: 'returned_before_issued', subject: row.chipId, detail: `prosthesis ${row.prosthesisId}` }]
      : [],
  )
}

function unknownZones(rows: readonly Ownership[], zoneOf: (name: string) => TimeZone | undefined): Problem[] {
  const names = new Set(rows.flatMap((row) => (zoneOf(row.timeZone) ? [] : [row.timeZone])))
  return [...names].map((name) => ({
    kind: name === '' ? 'unknown_customer' : 'unknown_time_zone',
    subject: name,
    detail: 'days of these customers are those of the default time zone',
  }))
}
