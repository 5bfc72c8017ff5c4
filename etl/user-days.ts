import type { ChipDays } from './chip-days.ts'
import { type Measures, takeMeasures } from './measures.ts'
import type { Ownership, OwnershipInTime } from './ownership.ts'

/** Rows of `reports.user_prosthesis_stats` as columns: element i of each array belongs to row i. */
export type UserDays = {
  length: number
  userId: string[]
  prosthesisId: string[]
  /** Days since 1970-01-01, UTC. */
  day: Int32Array
  chipId: string[]
  modelId: Int32Array
  measures: Measures
}

/** Telemetry that belongs to nobody, and why. */
export type Unowned = {
  /** Chips the CRM has no prosthesis with. */
  unknownChips: string[]
  /** Chips the CRM knows that sent telemetry on a day on which nobody had them. */
  chipsWithoutOwner: string[]
  /** (chip, day) pairs of both. */
  pairs: number
}

/** Gives each chip's day to the person who had the prosthesis that day; what belongs to nobody is listed. */
export function assignToUsers(
  chipDays: ChipDays,
  ownership: OwnershipInTime,
): { userDays: UserDays; unowned: Unowned } {
  const sourceRows: number[] = []
  const owners: Ownership[] = []
  const unknownChips = new Set<string>()
  const chipsWithoutOwner = new Set<string>()
  for (let i = 0; i < chipDays.length; i++) {
    const chip = chipDays.chipId[i]!
    const owner = ownership.ownerOn(chip, chipDays.day[i]!)
    if (owner) {
      sourceRows.push(i)
      owners.push(owner)
    } else if (ownership.knows(chip)) chipsWithoutOwner.add(chip)
    else unknownChips.add(chip)
  }
  const userDays = {
    length: owners.length,
    userId: owners.map((owner) => owner.userId),
    prosthesisId: owners.map((owner) => owner.prosthesisId),
    day: Int32Array.from(sourceRows, (row) => chipDays.day[row]!),
    chipId: owners.map((owner) => owner.chipId),
    modelId: Int32Array.from(owners, (owner) => owner.modelId),
    measures: takeMeasures(chipDays.measures, sourceRows),
  }
  const unowned = {
    unknownChips: [...unknownChips].sort(),
    chipsWithoutOwner: [...chipsWithoutOwner].sort(),
    pairs: chipDays.length - owners.length,
  }
  return { userDays, unowned }
}

/** Some of the rows, in the order asked for. */
export function takeUserDays(from: UserDays, rows: readonly number[]): UserDays {
  return {
    length: rows.length,
    userId: rows.map((row) => from.userId[row]!),
    prosthesisId: rows.map((row) => from.prosthesisId[row]!),
    day: Int32Array.from(rows, (row) => from.day[row]!),
    chipId: rows.map((row) => from.chipId[row]!),
    modelId: Int32Array.from(rows, (row) => from.modelId[row]!),
    measures: takeMeasures(from.measures, rows),
  }
}
