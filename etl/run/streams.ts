import type { Warehouse } from '@tendon/warehouse/client.ts'
import { type Batch, loadBatch, type Named } from '../load/load-batch.ts'
import type { Mark } from '../load/mark.ts'
import { readStanding } from '../load/standing.ts'
import type { ChipMeasurer } from '../measure/chip-measurer.ts'
import type { Days } from '../measure/scope.ts'
import { measureDays, type Span } from '../measure/telemetry-batches.ts'
import type { TouchedPart } from '../measure/touched-parts.ts'
import { wholeRows } from '../telemetry/packed-rows.ts'
import type { TelemetryView, TimeBounds } from '../telemetry/telemetry.ts'
import { hourUs, lastDay } from '../time/instants.ts'
import { allEnded } from './all-ended.ts'
import type { Extraction } from './extraction.ts'
import type { RunSession } from './run-session.ts'

/** Batches that together hold everything that is asked for, and nothing twice: a stream a connection. */
export type Streams = AsyncIterable<Batch>[]

/** All telemetry. What stands for days without any is in the scope of its first or last batch. */
export async function streamEverything(session: RunSession, extraction: Extraction): Promise<Streams> {
  const { view, bounds, days } = extraction
  const extent = await session.step('find', () => view.extent(bounds))
  const everything = { fromDay: days.fromDay, toDay: lastDay }
  if (!extent) return streamDays(session, extraction, { fromDay: days.toDay, toDay: days.toDay }, everything)
  return streamDays(session, extraction, daysAround(extent, days), everything)
}

/** Some days of everybody. */
export async function streamDays(
  session: RunSession,
  { view, createMeasurer, zones }: Extraction,
  days: Days,
  scope: Days = days,
): Promise<Streams> {
  const spans = cutDays(days, scope, session.config.parallel)
  const views = await viewsBeside(session, view, spans.length)
  return spans.map((span, i) => measureDays(views[i]!, createMeasurer(), span, zones, session.sizes))
}

/** Parts that a run found touched. */
export async function streamParts(
  session: RunSession,
  { view, createMeasurer }: Extraction,
  parts: Iterator<TouchedPart>,
  streams: number,
): Promise<Streams> {
  const views = await viewsBeside(session, view, streams)
  // One generator, from which each stream takes its next part.
  return views.map((one) => measureParts(session.warehouse, one, createMeasurer(), shared(parts)))
}

/** Measures the days that a run found touched, a part after the other, while it reads what stands. */
async function* measureParts(
  warehouse: Warehouse,
  view: TelemetryView,
  measurer: ChipMeasurer,
  parts: Iterable<TouchedPart>,
): AsyncGenerator<Batch> {
  for (const { windows, scope, wants } of parts) {
    const bounds = { firstDay: Number.NEGATIVE_INFINITY, lastDay: Number.POSITIVE_INFINITY, wants }
    const [standing] = await allEnded([
      readStanding(warehouse, scope),
      view.rowsOfWindows(windows, (chipId, bytes) => void measurer.add(chipId, wholeRows(bytes), bounds)),
    ])
    yield { scope, standing, ...measurer.take() }
  }
}

/**
 * Loads all batches as they are measured, a stream beside the other, and the next batch of each is measured meanwhile. When
 * one fails the others end with the batch that they are at: nothing is written any more when this has thrown.
 * @param prepared what has to be done before anything is loaded, beside which the first batches are measured
 * @returns whose numbers changed
 */
export async function loadStreams(
  session: RunSession,
  opening: Promise<Streams>,
  mark: Mark,
  prepared: Promise<unknown>,
): Promise<ReadonlySet<string>> {
  const loading = opening.then((streams) => loadAll(session, streams, mark, prepared))
  const [users] = await allEnded([loading, prepared])
  return users
}

async function loadAll(
  session: RunSession,
  streams: Streams,
  mark: Mark,
  prepared: Promise<unknown>,
): Promise<ReadonlySet<string>> {
  const named: Named = { users: new Set(), ownerlessChips: new Set() }
  let hasFailed = false
  await allEnded(
    streams.map(async (batches) => {
      let loading = prepared
      try {
        for await (const batch of timed(session, batches)) {
          await loading
          if (hasFailed) return
          loading = loadBatch(session, batch, mark, named)
          // Waited for with the next batch, or at the end.
          loading.catch(() => {})
        }
        await loading
      } catch (error) {
        hasFailed = true
        throw error
      } finally {
        await Promise.allSettled([loading])
      }
    }),
  )
  session.record.unknown_chips.sort()
  return named.users
}

async function viewsBeside(
  { connect }: RunSession,
  view: TelemetryView,
  count: number,
): Promise<TelemetryView[]> {
  return [view, ...(await Promise.all(Array.from({ length: count - 1 }, () => view.beside(connect))))]
}

/** The days that have telemetry: an instant is in one of the two days around UTC's, and in that. */
function daysAround({ fromUs, toUs }: TimeBounds, within: Days): Days {
  const dayOf = (instantUs: number) => Math.floor(instantUs / (24 * hourUs))
  return {
    fromDay: Math.max(within.fromDay, dayOf(fromUs) - 1),
    toDay: Math.min(within.toDay, dayOf(toUs) + 1),
  }
}

/** Cuts days into pieces to read, which together answer for the whole scope. Each reads from where its first day begins in any zone. */
function cutDays({ fromDay, toDay }: Days, scope: Days, pieces: number): Span[] {
  const count = toDay - fromDay + 1
  const used = Math.max(1, Math.min(pieces, Math.floor(count / leastDaysOfPiece)))
  return Array.from({ length: used }, (_, i) => {
    const read = {
      fromDay: fromDay + Math.floor((count * i) / used),
      toDay: fromDay + Math.floor((count * (i + 1)) / used) - 1,
    }
    return {
      read,
      scope: {
        fromDay: i === 0 ? scope.fromDay : read.fromDay,
        toDay: i === used - 1 ? scope.toDay : read.toDay,
      },
    }
  })
}

export const leastDaysOfPiece = 3

/** Several readers of one generator: the one that leaves does not end it for the others. */
function shared<Item>(items: Iterator<Item>): Iterable<Item> {
  return { [Symbol.iterator]: () => ({ next: () => items.next() }) }
}

/** Times how long the next batch takes, and ends between batches when the run is to end. */
async function* timed({ step }: RunSession, batches: AsyncIterable<Batch>): AsyncGenerator<Batch> {
  const iterator = batches[Symbol.asyncIterator]()
  for (;;) {
    const next = await step('measure', () => iterator.next())
    if (next.done) return
    yield next.value
  }
}
