/** Who had a prosthesis, and when: one row of `crm.prostheses`. */
export type Ownership = {
  prosthesisId: string
  userId: string
  chipId: string
  modelId: number
  /** First day, in days since 1970-01-01. */
  issuedDay: number
  /** The first day it was no longer theirs; null while it is. */
  returnedDay: number | null
}

export type OwnershipInTime = {
  /** Whether the CRM has a prosthesis with this chip at all. */
  knows(chipId: string): boolean
  /** Who had the chip on that day; undefined when nobody had. */
  ownerOn(chipId: string, day: number): Ownership | undefined
}

/**
 * Answers who had a chip on a day. Ownership is the half-open interval [issued, returned): on the day a
 * prosthesis comes back and goes out again, its telemetry belongs to the new owner alone. Where two intervals
 * of a chip overlap, as when a return was never entered, the later issue wins.
 */
export function indexOwnership(rows: readonly Ownership[]): OwnershipInTime {
  const byChip = Map.groupBy(rows, (row) => row.chipId)
  for (const owners of byChip.values()) owners.sort(latestIssueFirst)
  return {
    knows: (chipId) => byChip.has(chipId),
    ownerOn: (chipId, day) =>
      byChip
        .get(chipId)
        ?.find((owner) => owner.issuedDay <= day && (owner.returnedDay === null || day < owner.returnedDay)),
  }
}

/** The id decides between issues of the same day, so that every run decides alike. */
function latestIssueFirst(a: Ownership, b: Ownership): number {
  return b.issuedDay - a.issuedDay || (a.prosthesisId < b.prosthesisId ? 1 : -1)
}
