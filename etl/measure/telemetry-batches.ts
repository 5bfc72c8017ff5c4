import {
  joinRows,
  type PackedRows,
  replaceRows,
  slimRowLength,
  slimRows,
  wholeRowLength,
  wholeRows,
} from '../telemetry/packed-rows.ts'
import type { Packing, TelemetryView, TimeBounds, Windows } from '../telemetry/telemetry.ts'
import { dayUs } from '../time/instants.ts'
import type { TimeZone } from '../time/time-zones.ts'
import type { ChipMeasurer, Measured } from './chip-measurer.ts'
import { daysOfFirstSlice, endOfSlice, nextDaysOfSlice } from './day-slices.ts'
import type { DayBounds } from './day-stretches.ts'
import { type Days, type Scope, scopeOfDays } from './scope.ts'

/** Measured telemetry, and what of the whole it is. */
export type MeasuredBatch = Measured & { scope: Scope }

/**
 * How many rows may be in doubt before rows are read whole at once: each costs as much to read again as 25 others do to
 * be read whole.
 */
const mostDoubts = 0.02

/** A chip with rows in doubt, and when they were recorded. */
type Doubtful = { packed: PackedRows; doubtfulUs: number[] }

/** Days that are read, and those around them, without any telemetry, that they answer for. */
export type Span = { read: Days; scope: Days }

/**
 * Measures all telemetry of some days from beginning to end; the scopes of its batches together are that of the span. A day
 * ends at different times in different zones, so that rows of days that are not over in every zone are kept until the next
 * slice.
 */
export async function* measureDays(
  view: TelemetryView,
  measurer: ChipMeasurer,
  { read: { fromDay, toDay }, scope }: Span,
  zones: readonly TimeZone[],
  { rowsOfBatch, rowsOfSlice }: { rowsOfBatch: number; rowsOfSlice: number },
): AsyncGenerator<MeasuredBatch> {
  const endUs = latestEnd(toDay, zones)
  let firstOfBatch = scope.fromDay
  let doneDay = fromDay - 1
  let fromUs = Math.min(...zones.map((zone) => zone.startOf(fromDay)))
  let daysOfSlice = daysOfFirstSlice
  let packing: Packing = 'slim'
  let waiting = new Map<string, PackedRows>()
  while (fromUs < endUs) {
    const toUs = Math.min(endOfSlice(fromUs, daysOfSlice), endUs)
    const lastDay = toUs === endUs ? toDay : lastDayOver(toUs, zones)
    const slice = { time: { fromUs, toUs }, bounds: { firstDay: doneDay + 1, lastDay }, packing, waiting }
    const collectedBefore = measurer.collected()
    const { rows, doubts, later } = await measureSlice(view, measurer, slice)
    const collected = measurer.collected() - collectedBefore
    if (doubts > rows * mostDoubts) packing = 'whole'
    waiting = later
    doneDay = Math.max(doneDay, lastDay)
    if (toUs === endUs || (doneDay >= firstOfBatch && measurer.collected() >= rowsOfBatch)) {
      const lastOfBatch = toUs === endUs ? scope.toDay : doneDay
      yield { scope: scopeOfDays(firstOfBatch, lastOfBatch), ...measurer.take() }
      firstOfBatch = doneDay + 1
    }
    // What a slice holds besides its rows is what they come to: nearly as many, where devices seldom send. A batch ends
    // with the slice that fills it, and is not to be much larger.
    const days = (toUs - fromUs) / dayUs
    daysOfSlice = Math.min(
      nextDaysOfSlice(daysOfSlice, rows / days, rowsOfSlice),
      nextDaysOfSlice(daysOfSlice, collected / days, rowsOfBatch / 2),
    )
    fromUs = toUs
  }
}

/**
 * Measures those days of a slice that are over.
 * @param slice.waiting rows of earlier slices; taken out as they are measured
 * @returns how many rows there were, how many of them in doubt, and those of days that are not over
 */
async function measureSlice(
  view: TelemetryView,
  measurer: ChipMeasurer,
  slice: { time: TimeBounds; bounds: DayBounds; packing: Packing; waiting: Map<string, PackedRows> },
): Promise<{ rows: number; doubts: number; later: Map<string, PackedRows> }> {
  const { time, bounds, packing, waiting } = slice
  const later = new Map<string, PackedRows>()
  const doubtful = new Map<string, Doubtful>()
  let rows = 0
  const add = (chipId: string, packed: PackedRows) => {
    const added = measurer.add(chipId, packed, bounds)
    if (added.later) later.set(chipId, added.later)
    if (added.doubtfulUs) doubtful.set(chipId, { packed: copyOf(packed), doubtfulUs: added.doubtfulUs })
  }
  const [rowLength, packedAs] = packing === 'slim' ? [slimRowLength, slimRows] : [wholeRowLength, wholeRows]
  await view.rowsOfTime(time, packing, (chipId, bytes) => {
    rows += bytes.length / rowLength
    const kept = waiting.get(chipId)
    if (kept) waiting.delete(chipId)
    add(chipId, kept ? joinRows(kept, packedAs(bytes)) : packedAs(bytes))
  })
  for (const [chipId, kept] of waiting) add(chipId, kept)
  const doubts = doubtful.values().reduce((sum, { doubtfulUs }) => sum + doubtfulUs.length, 0)
  const again = await readAgain(view, doubtful)
  doubtful.clear()
  for (const [chipId, packed] of again) add(chipId, packed)
  for (const chipId of doubtful.keys())
    throw new Error(`Rows of chip ${chipId} are in doubt that were read whole`)
  return { rows, doubts, later }
}

function copyOf({ slim, whole }: PackedRows): PackedRows {
  return { slim: Buffer.from(slim), whole: Buffer.from(whole) }
}

/** Reads the rows in doubt whole. @returns all rows of these chips, those whole */
async function readAgain(
  view: TelemetryView,
  doubtful: ReadonlyMap<string, Doubtful>,
): Promise<Map<string, PackedRows>> {
  const again = new Map(doubtful.keys().map((chipId) => [chipId, [] as Buffer[]]))
  const times = [...doubtful].flatMap(([chipId, { doubtfulUs }]) =>
    doubtfulUs.map((atUs) => ({ chipId, atUs })),
  )
  for (let start = 0; start < times.length; start += timesOfStatement) {
    const some = times.slice(start, start + timesOfStatement)
    const windows: Windows = {
      chipId: some.map(({ chipId }) => chipId),
      fromUs: some.map(({ atUs }) => atUs),
      toUs: some.map(({ atUs }) => atUs + 1),
    }
    await view.rowsOfWindows(windows, (chipId, bytes) => void again.get(chipId)!.push(Buffer.from(bytes)))
  }
  return new Map(
    doubtful
      .entries()
      .map(([chipId, { packed }]) => [chipId, replaceRows(packed, Buffer.concat(again.get(chipId)!))]),
  )
}

const timesOfStatement = 2_000

function latestEnd(day: number, zones: readonly TimeZone[]): number {
  return Math.max(...zones.map((zone) => zone.startOf(day + 1)))
}

/** The last day that is over in every zone. */
function lastDayOver(instantUs: number, zones: readonly TimeZone[]): number {
  let day = Math.floor(instantUs / dayUs)
  while (latestEnd(day, zones) > instantUs) day -= 1
  return day
}
