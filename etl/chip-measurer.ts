import { dayText, instantText } from './instants.ts'
import { type DayFacts, metrics } from './metrics.ts'
import type { Ownership, OwnershipInTime } from './ownership.ts'
import {
  type ChipRows,
  createPackedRowReader,
  nullInt16,
  nullInt32,
  type PackedRows,
  slimRowLength,
  wholeRowLength,
  wholeRows,
} from './packed-rows.ts'
import { brokenRule } from './row-rules.ts'
import type { TimeBounds } from './telemetry.ts'
import { createUserDaysBuilder, type UserDays } from './user-days.ts'

/** A telemetry row that no number is made from. */
export type QuarantinedRow = {
  chipId: string
  rowId: number
  day: number
  recordedAt: string
  reason: string
  detail: string
}

/** Telemetry that belongs to nobody, by chip. */
export type UnownedChip = { rows: number; days: Set<number>; isKnown: boolean }

/** What was measured since the last time it was taken. */
export type Measured = {
  rowsIn: number
  userDays: UserDays
  quarantined: QuarantinedRow[]
  unowned: Map<string, UnownedChip>
}

export type DayBounds = {
  /** Rows of days before it are left out. */
  firstDay: number
  /** Days after it may not be complete yet: their rows come back. */
  lastDay: number
  /** Rows of other days are left out too; everything is wanted without it. */
  wants?: (chipId: string, owner: Ownership | undefined, day: number) => boolean
}

/** Rows of days after the last that is measured, if there are any; or the times of rows that must be read whole first. */
export type Added = { later?: PackedRows; doubtfulUs?: number[] }

export type ChipMeasurer = {
  /**
   * Measures the rows of one chip, unless some of the slim ones are in doubt: those that break a rule, or come at the
   * same time. None is measured then, and all are to be added again when what is in doubt was read whole.
   */
  add(chipId: string, packed: PackedRows, bounds: DayBounds): Added
  /** Says of whole rows that have no chip, or a time outside of what is measured, what is wrong with each. */
  judgeUnmeasurable(chipId: string, bytes: Buffer, bounds: TimeBounds): QuarantinedRow[]
  /** Rows that wait to be taken. */
  collected(): number
  take(): Measured
}

/** The day of what has none. */
const noDay = 0

/** A prosthesis' day while its rows are collected; used again for another one. */
type Group = {
  owner: Ownership
  day: number
  facts: DayFacts
}

/** Rows of one day and owner, of those that were read: [row, end). */
type Run = { row: number; end: number; day: number; owner: Ownership | undefined }

/** Judges rows, cuts them into days, gives each day to its owner and measures it. */
export function createChipMeasurer(
  ownership: OwnershipInTime,
  firmwareOn: (prosthesisId: string, day: number) => string,
): ChipMeasurer {
  const reader = createPackedRowReader()
  const values = new Float64Array(metrics.length)
  const runs: Run[] = []
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

  /** Finds the stretches of rows that are of one day and owner and are to be measured. */
  function cutIntoRuns(chipId: string, rows: ChipRows, { firstDay, lastDay, wants }: DayBounds) {
    const segments = ownership.segmentsOf(chipId)
    const later: number[] = []
    let count = 0
    let place = 0
    for (let row = 0; row < rows.count; ) {
      const instant = rows.instantUs[row]!
      while (instant >= segments[place]!.toUs) place += 1
      const { zone, owner, toUs } = segments[place]!
      const day = zone.dayOf(instant)
      const endUs = Math.min(toUs, zone.startOf(day + 1))
      let end = row + 1
      while (end < rows.count && rows.instantUs[end]! < endUs) end += 1
      if (day > lastDay) for (let i = row; i < end; i++) later.push(i)
      else if (day >= firstDay && (!wants || wants(chipId, owner, day))) {
        runs[count] ??= { row, end, day, owner }
        const run = runs[count]!
        run.row = row
        run.end = end
        run.day = day
        run.owner = owner
        count += 1
      }
      row = end
    }
    return { count, later }
  }

  /** Times of slim rows that are not sound by themselves, or may be a message that came twice. */
  function doubts(rows: ChipRows, count: number): number[] {
    const found: number[] = []
    for (let run = 0; run < count; run++) {
      const { row: first, end } = runs[run]!
      for (let row = first; row < end; row++) {
        const instant = rows.instantUs[row]!
        const isTwice = row > first && rows.instantUs[row - 1] === instant
        if (rows.isWhole[row] && !(isTwice && !rows.isWhole[row - 1])) continue
        if ((isTwice || rows.isUnsaid[row] || brokenRule(rows, row)) && found.at(-1) !== instant)
          found.push(instant)
      }
    }
    return found
  }

  function measureRun(chipId: string, rows: ChipRows, { row: first, end, day, owner }: Run): void {
    rowsIn += end - first
    const group = owner && groupOf(owner, day)
    for (let row = first; row < end; row++) {
      // A slim row that is in no doubt counts.
      if (rows.isWhole[row]) {
        if (!accept(chipId, rows, row, day)) continue
        lastAccepted = row
      }
      if (group) collect(group, rows, row)
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
    const known = unowned.get(chipId)
    if (known) {
      known.rows += 1
      known.days.add(day)
    } else unowned.set(chipId, { rows: 1, days: new Set([day]), isKnown: ownership.knows(chipId) })
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

  function judgeUnmeasurable(chipId: string, bytes: Buffer, { fromUs }: TimeBounds): QuarantinedRow[] {
    const rows = reader.read(wholeRows(bytes))
    return Array.from({ length: rows.count }, (_, row) => {
      const recordedAt = instantText(rows.instantUs[row]!)
      const isEarly = rows.instantUs[row]! < fromUs
      const reason =
        chipId === ''
          ? 'no_chip'
          : isEarly
            ? 'before_first_day'
            : rows.isAhead[row]
              ? 'clock_ahead'
              : 'no_day'
      return {
        chipId,
        rowId: rows.id[row]!,
        day: noDay,
        recordedAt,
        reason,
        detail: `recorded_at ${recordedAt}`,
      }
    })
  }

  return {
    judgeUnmeasurable,
    add(chipId, packed, bounds) {
      const rows = reader.read(packed)
      const { count, later } = cutIntoRuns(chipId, rows, bounds)
      const doubtfulUs = doubts(rows, count)
      if (doubtfulUs.length > 0) return { doubtfulUs }
      groupsUsed = 0
      lastAccepted = -1
      for (let run = 0; run < count; run++) measureRun(chipId, rows, runs[run]!)
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

function collect(group: Group, rows: ChipRows, row: number): void {
  const { facts } = group
  facts.rows += 1
  facts.rowsWithError += rows.hasError[row]!
  if (rows.hasResponseTime[row] === 1) {
    if (facts.responses === facts.responseTimesMs.length) {
      const grown = new Float32Array(facts.responses * 2)
      grown.set(facts.responseTimesMs)
      facts.responseTimesMs = grown
    }
    facts.responseTimesMs[facts.responses++] = rows.responseTimeMs[row]!
  }
  const battery = rows.batteryPercent[row]!
  if (battery !== nullInt16) {
    facts.batteryRows += 1
    facts.sumOfBatteryPercent += battery
    if (battery < facts.lowestBatteryPercent) facts.lowestBatteryPercent = battery
  }
  const active = rows.activeMs[row]!
  if (active !== nullInt32) facts.activeMs += active
  const movements = rows.movements[row]!
  if (movements !== nullInt32) facts.movements += movements
}

function noFacts(): DayFacts {
  return {
    rows: 0,
    rowsWithError: 0,
    responseTimesMs: new Float32Array(64),
    responses: 0,
    batteryRows: 0,
    lowestBatteryPercent: Number.POSITIVE_INFINITY,
    sumOfBatteryPercent: 0,
    activeMs: 0,
    movements: 0,
  }
}

function forget(facts: DayFacts): void {
  facts.rows = 0
  facts.rowsWithError = 0
  facts.responses = 0
  facts.batteryRows = 0
  facts.lowestBatteryPercent = Number.POSITIVE_INFINITY
  facts.sumOfBatteryPercent = 0
  facts.activeMs = 0
  facts.movements = 0
}

/** Calling the engine's sort costs more than sorting a few values: 0.3 s for 290,000 days. */
function sortAscending(values: Float32Array, count: number): void {
  if (count > 48) {
    values.subarray(0, count).sort()
    return
  }
  for (let i = 1; i < count; i++) {
    const value = values[i]!
    let place = i - 1
    while (place >= 0 && values[place]! > value) {
      values[place + 1] = values[place]!
      place -= 1
    }
    values[place + 1] = value
  }
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

/** What a run says of the telemetry that belongs to nobody. */
export function describeUnowned(chip: UnownedChip): string {
  const days = [...chip.days].sort((a, b) => a - b)
  const why = chip.isKnown ? 'nobody had it then' : 'no prosthesis has this chip'
  return `${chip.rows} rows on ${days.length} days from ${dayText(days[0]!)} on: ${why}`
}
