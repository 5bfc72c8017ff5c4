import { checkSource, readSourceFacts } from '../checks/check-source.ts'
import type { Problem } from '../crm/ownership.ts'
import { keepOwnership, type OwnershipChanges } from '../crm/standing-ownership.ts'
import { deliverKept } from '../invalidate/deliver-kept.ts'
import {
  type LateDays,
  lateUnmeasurableChips,
  readLateDays,
  readPutOff,
  windowsOfLate,
  withLateOwners,
} from '../load/late-rows.ts'
import { noteProblems, passChecks } from '../load/load-batch.ts'
import { loadUnmeasurable } from '../load/load-unmeasurable.ts'
import { copyStatsAnew, lossReason } from '../load/standing-versions.ts'
import { definitionHash } from '../measure/definition.ts'
import { cutIntoParts, type TouchedDays, touchedDays } from '../measure/touched-parts.ts'
import type { MeasuringConfig } from '../options.ts'
import type { SourceTraits } from '../telemetry/source-traits.ts'
import type { Since, TelemetryView, Windows } from '../telemetry/telemetry.ts'
import { allEnded } from './all-ended.ts'
import { type Extraction, openView, readExtraction, timesOf } from './extraction.ts'
import { noteWhatCounts } from './note-what-counts.ts'
import { type EtlRun, findWatermarkSince, type RunsSince } from './run-records.ts'
import { type RunParts, type RunSession, runUnderLock, type SkippedRun } from './run-session.ts'
import { loadStreams, type Streams, streamEverything, streamParts } from './streams.ts'

/**
 * One run: extract, measure, give to the owners, compare, load, invalidate.
 * @throws TENDON-ETL-001, -002 when the telemetry database cannot be reached, or -005 when `stop` says so, after it was recorded
 */
export function runEtl(
  parts: RunParts,
  stop: AbortSignal,
  { acceptChecks }: { acceptChecks: boolean },
): Promise<EtlRun | SkippedRun> {
  return runUnderLock(parts, { kind: 'run', acceptChecks }, stop, advance)
}

/** The steps of a run, in order; what they find goes into its record. */
export async function advance(session: RunSession): Promise<void> {
  const { warehouse, record, step, last } = session
  const opening = step('open', async () => openView(await session.connect(), session.config))
  const [extraction, { facts, news }, late, isTold] = await allEnded([
    // What is lost may be what the last run has seen of ownership.
    step('read', () => readExtraction({ ...session, last: session.hasLoss ? undefined : last }, opening)),
    opening.then((view) => lookForNews(session, view)),
    last ? readLateDays(warehouse, last.run_seq, session.now()) : Promise.resolve([]),
    // Users that an earlier run could not reach do not wait for a run that succeeds.
    deliverKept(session),
  ])
  record.cdc_version = extraction.crm.version
  noteProblems(session, [...lacksOf(extraction.view.traits, session.config), ...extraction.problems])
  passChecks(session, checkSource(session, extraction, facts))
  if (session.hasLoss) await step('mend', () => copyStatsAnew(warehouse))
  const found = news && (await step('find', () => findTouched(session, extraction, news, late)))
  if (!found) measureAll(session)
  const mark = { version: record.run_seq, rewrite: session.since.hasFailed || found?.hasLate === true }
  const unmeasurable = {
    since: sinceOf(session),
    ...(found?.unmeasurable ?? { hasNew: true, wholeChips: [] }),
  }
  const users = await loadStreams(session, openStreams(session, extraction, found), mark, prepare())
  await step('keep', async () => {
    await session.assertLock()
    await keepOwnership(warehouse, extraction.changes, record.run_seq)
  })
  const ownKept = [...users].sort().map((user_id) => ({ user_id, run_seqs: [String(record.run_seq)] }))
  await step('invalidate', () => deliverKept(session, isTold ? ownKept : undefined))

  async function prepare(): Promise<void> {
    await step('note', () => noteWhatCounts(session, extraction))
    await step('quarantine', () => loadUnmeasurable(session, extraction, unmeasurable, mark))
  }
}

/**
 * What there is to be seen in the telemetry before it is known whose it is: whether it can be gone on from, and then what
 * is new. Undefined when everything is to be measured.
 */
async function lookForNews(session: RunSession, view: TelemetryView) {
  await describeSource(session, view)
  const [news, facts] = await allEnded([
    session.record.mode === 'increment'
      ? session.step('find', () => readNews(session, view))
      : Promise.resolve(undefined),
    session.step('check', () => readSourceFacts(session, view, sinceOf(session))),
  ])
  return { news, facts }
}

/** Where there is something new; and what is not new but has a day only now. */
type News = Windows & { hasUnmeasurable: boolean; putOff: Windows }

/** @returns undefined when there is too much of it */
async function readNews(session: RunSession, view: TelemetryView): Promise<News | undefined> {
  const times = timesOf(view, session.config)
  const [windows, putOff] = await allEnded([
    view.touched(sinceOf(session), times, session.sizes.mostWindows),
    readPutOff(session.warehouse, { fromUs: times.certain.fromUs, toUs: times.bounds.toUs }),
  ])
  return windows && { ...windows, putOff }
}

/** Notes what the run goes by, and decides whether it measures all telemetry or what is new. */
async function describeSource(session: RunSession, view: TelemetryView): Promise<void> {
  const { record, last, config } = session
  record.source = view.traits.source
  record.watermark_kind = view.traits.watermarkKind
  record.watermark_to = view.watermark
  record.definition = definitionHash(config)
  record.default_time_zone = config.timeZone
  record.full_reason = session.hasLoss ? lossReason : fullReason(last, session.since, record)
  record.mode = record.full_reason === '' ? 'increment' : 'full'
  record.watermark_lag_s = await watermarkLag(session, view)
}

/** It is as if there had been no run before. */
function measureAll({ record, log, sizes }: RunSession): void {
  if (record.mode === 'increment')
    record.full_reason = `there is something new on more than ${sizes.mostWindows} days of chips`
  record.mode = 'full'
  record.watermark_from = '0'
  log.info({ reason: record.full_reason }, 'measuring all telemetry')
}

/** For how many seconds an open transaction has held the watermark back. */
async function watermarkLag({ warehouse, now }: RunSession, view: TelemetryView): Promise<number> {
  if (view.traits.watermarkKind !== 'xid' || view.openTransactions === 0) return 0
  const since = await findWatermarkSince(warehouse, view.watermark)
  return since ? (now().getTime() - since.getTime()) / 1000 : 0
}

/** What is missed of a source that lacks a column or a table. */
function lacksOf(traits: SourceTraits, { timestampLagMinutes }: MeasuringConfig): Problem[] {
  const problems: Problem[] = []
  const note = (kind: string, detail: string) => problems.push({ kind, subject: 'telemetry_events', detail })
  if (traits.watermarkKind === 'timestamp') {
    const missed = `rows of transactions open for more than ${timestampLagMinutes} minutes are missed`
    note('timestamp_watermark', `${missed}: add ingest_xid`)
  }
  if (!traits.hasCorrections) {
    const missed = 'rows that are changed or deleted are missed'
    note('no_corrections', `${missed}: add telemetry_corrections and its trigger, or backfill`)
  }
  return problems
}

/** Why what stands cannot be gone on from; empty when it can. */
function fullReason(last: EtlRun | undefined, since: RunsSince, now: EtlRun): string {
  if (!last) return 'no run has succeeded yet'
  // One that died, or a backfill, may have loaded something by what it went by.
  if ([last.definition, ...since.definitions].some((definition) => definition !== now.definition))
    return 'metrics, rules or options are others than the last run had'
  if ([last.source, ...since.sources].some((source) => source !== now.source))
    return 'the telemetry comes from another cluster, timeline, database or table'
  if (last.watermark_kind !== now.watermark_kind)
    return `watermarks are of another kind: ${now.watermark_kind}`
  if (BigInt(last.watermark_to) > BigInt(now.watermark_to))
    return 'the telemetry went back to an earlier state'
  return ''
}

/** What the last run has seen, or undefined for a run that measures everything. */
function sinceOf({ record, last, config }: RunSession): Since {
  if (record.mode === 'full') return undefined
  if (record.watermark_kind === 'xid') return last!.watermark_to
  return String(BigInt(last!.watermark_to) - BigInt(config.timestampLagMinutes) * 60_000_000n)
}

const smallRunPairs = 1_000

/** What a run that does not measure everything measures again. */
type Found = {
  touched: TouchedDays
  /** Ownership, as if it had changed also where late rows stand for somebody who has nothing there. */
  changes: OwnershipChanges
  /** Whether there are late rows. They are written again, so that no later run asks. */
  hasLate: boolean
  unmeasurable: { hasNew: boolean; wholeChips: string[] }
}

function openStreams(
  session: RunSession,
  extraction: Extraction,
  found: Found | undefined,
): Promise<Streams> {
  if (!found) return streamEverything(session, extraction)
  const { crm, days } = extraction
  const parts = cutIntoParts(found.touched, found.changes, crm.prostheses, days, session.sizes.windowsOfPart)
  const streams = found.touched.pairs < smallRunPairs ? 1 : session.config.parallel
  return streamParts(session, extraction, parts, streams)
}

/**
 * What is new, what is no longer whose it was, what a run that died has written since, and what has a day only now. Undefined
 * when it is too much to be held: after somebody changed all rows, say, or the owners of all chips.
 */
async function findTouched(
  session: RunSession,
  extraction: Extraction,
  news: News,
  late: readonly LateDays[],
): Promise<Found | undefined> {
  const { view, bounds, ownership, days, crm } = extraction
  const { mostWindows } = session.sizes
  const changes = withLateOwners(extraction.changes, late, crm.prostheses)
  if (changes.chipIds.size > 0)
    appendWindows(news, await view.windowsOf([...changes.chipIds], bounds, mostWindows + 1))
  if (news.chipId.length > mostWindows) return undefined
  appendWindows(news, newFirmwareWindows(extraction))
  appendWindows(news, windowsOfLate(late))
  appendWindows(news, news.putOff)
  return {
    touched: touchedDays(news, ownership, days),
    changes,
    hasLate: late.length > 0,
    unmeasurable: {
      hasNew: news.hasUnmeasurable,
      // By an owner who lives elsewhere the day of a row may be one that is measured, or no longer.
      wholeChips: [...lateUnmeasurableChips(late), ...news.putOff.chipId, ...changes.chipIds],
    },
  }
}

function appendWindows(to: Windows, more: Windows): void {
  for (let i = 0; i < more.chipId.length; i++) {
    to.chipId.push(more.chipId[i]!)
    to.fromUs.push(more.fromUs[i]!)
    to.toUs.push(more.toUs[i]!)
  }
}

/**
 * The day from which a firmware counts is measured again, and those after it, of which clocks that are ahead have told: their
 * rows may stand with the one before.
 */
function newFirmwareWindows({ firmware, crm, zoneOf, defaultZone, bounds }: Extraction): Windows {
  const byId = new Map(crm.prostheses.map((row) => [row.prosthesisId, row]))
  const windows: Windows = { chipId: [], fromUs: [], toUs: [] }
  for (const { prosthesisId, sinceDay } of firmware.unsettled) {
    const { chipId, timeZone } = byId.get(prosthesisId)!
    const zone = zoneOf(timeZone) ?? defaultZone
    windows.chipId.push(chipId)
    windows.fromUs.push(zone.startOf(sinceDay))
    windows.toUs.push(bounds.toUs - 1)
  }
  return windows
}
