import type { Ownership, OwnershipInTime } from '../crm/ownership.ts'
import {
  type ChipRows,
  createPackedRowReader,
  type PackedRows,
  slimRowLength,
  wholeRowLength,
} from '../telemetry/packed-rows.ts'
import { instantText } from '../time/instants.ts'
import { collect, forget, noFacts, sortAscending } from './day-facts.ts'
import { cutIntoStretches, type DayBounds, findDoubts, type Stretch } from './day-stretches.ts'
import { type DayFacts, metrics } from './metrics.ts'
import { brokenRule } from './row-rules.ts'
import { createUserDaysBuilder, type UserDays } from './user-days.ts'

/** A telemetry row that no number is made from. */
export type QuarantinedRow = {
  chipId: string
  rowId: bigint
  day: number
  recordedAt: string
  reason: string
  detail: string
}

/** Telemetry of a chip that belongs to nobody. `isKnown`: the CRM has the chip, and nobody had it on these days. */
export type UnownedChip = { rowsOfDay: Map<number, number>; isKnown: boolean }

/** What was measured since the last time it was taken. */
export type Measured = {
  rowsIn: number
  userDays: UserDays
  quarantined: QuarantinedRow[]
  unowned: Map<string, UnownedChip>
}

/** Rows of days after the last that is measured, if there are any; or the times of rows that must be read whole first. */
export type Added = { later?: PackedRows; doubtfulUs?: number[] }

export type ChipMeasurer = {
  /**
   * Measures the rows of one chip, unless some of the slim ones are in doubt: those that break a rule, or come at the
   * same time. None is measured then, and all are to be added again when what is in doubt was read whole.
   */
  add(chipId: string, packed: PackedRows, bounds: DayBounds): Added
  /** Rows that wait to be taken. */
  collected(): number
  take(): Measured
}

/** A prosthesis' day while its rows are collected; used again for another one. */
type Group = {
  owner: Ownership
  day: number
  facts: DayFacts
}

/** Judges rows, cuts them into days, gives each day to its owner and measures it. */
export function createChipMeasurer(
  ownership: OwnershipInTime,
  firmwareOn: (prosthesisId: string, day: number) => string,
): ChipMeasurer {
  const reader = createPackedRowReader()
  const values = new Float64Array(metrics.length)
  const stretches: Stretch[] = []
  const groups: Group[] = []
  let groupsUsed = 0
  let lastAccepted = -1
  let builder = createUserDaysBuilder()
  let quarantined: QuarantinedRow[] = []
  let unowned = new Map<string, UnownedChip>()
  let rowsIn = 0

  function quarantine(
    chipId: string,
    rows: ChipRows,
    row: number,
    day: number,
    reason: string,
    detail: string,
  ) {
    quarantined.push({
      chipId,
      rowId: rows.id[row]!,
      day,
      recordedAt: instantText(rows.instantUs[row]!),
      reason,
      detail,
    })
  }

  function measureStretch(chipId: string, rows: ChipRows, { row: first, end, day, owner }: Stretch): void {
    rowsIn += end - first
    const group = owner && groupOf(owner, day)
    for (let row = first; row < end; row++) {
      // A slim row that is in no doubt counts.
      if (rows.isWhole[row]) {
        if (!accept(chipId, rows, row, day)) continue
        lastAccepted = row
      }
      if (group) collect(group.facts, rows, row)
      else noteUnowned(chipId, day)
    }
  }

  /** Whether a whole row counts; one that does not is put into quarantine. */
  function accept(chipId: string, rows: ChipRows, row: number, day: number): boolean {
    const rule = brokenRule(rows, row)
    if (rule) {
      quarantine(chipId, rows, row, day, rule.name, rule.detail(rows, row))
      return false
    }
    if (lastAccepted >= 0 && isSameMessage(rows, lastAccepted, row)) {
      quarantine(chipId, rows, row, day, 'duplicate', `of row ${rows.id[lastAccepted]}`)
      return false
    }
    return true
  }

  function noteUnowned(chipId: string, day: number): void {
    let chip = unowned.get(chipId)
    if (!chip) {
      chip = { rowsOfDay: new Map(), isKnown: ownership.knows(chipId) }
      unowned.set(chipId, chip)
    }
    chip.rowsOfDay.set(day, (chip.rowsOfDay.get(day) ?? 0) + 1)
  }

  /** A day can come in two pieces, when somebody else had the prosthesis for less than a day in between. */
  function groupOf(owner: Ownership, day: number): Group {
    for (let i = groupsUsed - 1; i >= 0; i--) {
      const group = groups[i]!
      if (group.owner === owner && group.day === day) return group
    }
    groups[groupsUsed] ??= { owner, day, facts: noFacts() }
    const group = groups[groupsUsed]!
    groupsUsed += 1
    group.owner = owner
    group.day = day
    forget(group.facts)
    return group
  }

  function measure(group: Group): void {
    const { facts, owner, day } = group
    sortAscending(facts.responseTimesMs, facts.responses)
    for (let i = 0; i < metrics.length; i++) values[i] = metrics[i]!.of(facts)
    builder.append(owner, day, firmwareOn(owner.prosthesisId, day), values)
  }

  return {
    add(chipId, packed, bounds) {
      const rows = reader.read(packed)
      const { count, later } = cutIntoStretches(stretches, chipId, rows, ownership, bounds)
      const doubtfulUs = findDoubts(rows, stretches, count)
      if (doubtfulUs.length > 0) return { doubtfulUs }
      groupsUsed = 0
      lastAccepted = -1
      for (let i = 0; i < count; i++) measureStretch(chipId, rows, stretches[i]!)
      for (let i = 0; i < groupsUsed; i++) if (groups[i]!.facts.rows > 0) measure(groups[i]!)
      return later.length > 0 ? { later: copyRows(rows, packed, later) } : {}
    },
    collected: () => builder.length() + quarantined.length,
    take() {
      const taken = { rowsIn, userDays: builder.build(), quarantined, unowned }
      builder = createUserDaysBuilder()
      quarantined = []
      unowned = new Map()
      rowsIn = 0
      return taken
    },
  }
}

/** A device sends a message again when it was not confirmed: the first that was stored counts. */
function isSameMessage(rows: ChipRows, a: number, b: number): boolean {
  return rows.instantUs[a] === rows.instantUs[b] && rows.signalHash[a] === rows.signalHash[b]
}

function copyRows(rows: ChipRows, { slim, whole }: PackedRows, wanted: readonly number[]): PackedRows {
  const copied = (bytes: Buffer, length: number, isWhole: 0 | 1): Buffer => {
    const some = wanted.filter((row) => rows.isWhole[row] === isWhole)
    const copy = Buffer.allocUnsafe(some.length * length)
    for (const [i, row] of some.entries()) {
      bytes.copy(copy, i * length, rows.offset[row]!, rows.offset[row]! + length)
    }
    return copy
  }
  return { slim: copied(slim, slimRowLength, 0), whole: copied(whole, wholeRowLength, 1) }
}
