import type { ChipMeasurer, Measured } from './chip-measurer.ts'
import { dayUs, hourUs } from './instants.ts'
import { packedRowLength } from './packed-rows.ts'
import { type Scope, scopeOfDays } from './scope.ts'
import type { TelemetryView } from './telemetry.ts'
import type { TouchedPart } from './touched-parts.ts'

/** Measured telemetry, and what of the whole it is. */
export type Batch = Measured & { scope: Scope }

/** The earliest that a day begins anywhere, and the latest that it ends, beside UTC's. */
const aheadUs = 14 * hourUs
const behindUs = 12 * hourUs

/**
 * Rows of one slice: what comes in and waits in this process is 36 bytes a row, and PostgreSQL holds as much while it
 * packs them by chip.
 */
const targetRows = 200_000
const mostDaysOfSlice = 64

/**
 * Measures all telemetry of these days, both included, from beginning to end. A day ends at different times in
 * different zones, so that rows of days that are not over everywhere are kept until the next slice.
 */
export async function* measureDays(
  view: TelemetryView,
  measurer: ChipMeasurer,
  { fromDay, toDay }: { fromDay: number; toDay: number },
): AsyncGenerator<Batch> {
  const endUs = (toDay + 1) * dayUs + behindUs
  let doneDay = fromDay - 1
  let fromUs = fromDay * dayUs - aheadUs
  let daysOfSlice = 2
  let waiting = new Map<string, Buffer>()
  while (fromUs < endUs) {
    // Slices end with UTC days, as partitions do: none is read twice.
    const toUs = Math.min(Math.ceil(fromUs / dayUs + daysOfSlice) * dayUs, endUs)
    const lastDay = toUs === endUs ? toDay : Math.floor((toUs - behindUs) / dayUs) - 1
    const bounds = { firstDay: doneDay + 1, lastDay }
    const before = waiting
    const after = new Map<string, Buffer>()
    let rows = 0
    const add = (chipId: string, bytes: Buffer) => {
      const rest = measurer.add(chipId, bytes, bounds)
      if (rest) after.set(chipId, rest)
    }
    await view.rowsOfTime({ fromUs, toUs }, (chipId, bytes) => {
      rows += bytes.length / packedRowLength
      const kept = before.get(chipId)
      before.delete(chipId)
      add(chipId, kept ? Buffer.concat([kept, bytes]) : bytes)
    })
    for (const [chipId, bytes] of before) add(chipId, bytes)
    waiting = after
    if (lastDay > doneDay) yield { scope: scopeOfDays(doneDay + 1, lastDay), ...measurer.take() }
    doneDay = Math.max(doneDay, lastDay)
    fromUs = toUs
    daysOfSlice = nextDays(daysOfSlice, rows)
  }
}

function nextDays(days: number, rows: number): number {
  const fitting = Math.floor((days * targetRows) / Math.max(rows, 1))
  return Math.max(1, Math.min(fitting, days * 2, mostDaysOfSlice))
}

/** Measures the days that a run found touched, a part after the other. */
export async function* measureParts(
  view: TelemetryView,
  measurer: ChipMeasurer,
  parts: AsyncIterable<TouchedPart> | Iterable<TouchedPart>,
): AsyncGenerator<Batch> {
  for await (const { windows, scope, wants } of parts) {
    const bounds = { firstDay: Number.NEGATIVE_INFINITY, lastDay: Number.POSITIVE_INFINITY, wants }
    if (windows.chipId.length > 0) {
      await view.rowsOfWindows(windows, (chipId, bytes) => void measurer.add(chipId, bytes, bounds))
    }
    yield { scope, ...measurer.take() }
  }
}
