import { createHash } from 'node:crypto'
import { checkSource, readSourceFacts } from '../checks/check-source.ts'
import { etlErrors } from '../errors.ts'
import { deliverKept, isUntold } from '../invalidate/deliver-kept.ts'
import { noteProblems, passChecks } from '../load/load-batch.ts'
import { definitionHash } from '../measure/definition.ts'
import type { Days } from '../measure/scope.ts'
import { cutIntoParts, touchedDays } from '../measure/touched-parts.ts'
import { dayText, dayUs, lastBegunDay, parseDay } from '../time/instants.ts'
import { allEnded } from './all-ended.ts'
import { type BackfillProgress, progressOf } from './backfill-progress.ts'
import { type Extraction, openView, readExtraction } from './extraction.ts'
import { noteWhatCounts } from './note-what-counts.ts'
import { type EtlRun, listBackfillParts } from './run-records.ts'
import { type RunParts, type RunSession, runUnderLock } from './run-session.ts'
import { leastDaysOfPiece, loadStreams, type Streams, streamDays, streamParts } from './streams.ts'

export type BackfillRequest = {
  /** `YYYY-MM-DD`, both included: days where the owners live. */
  from: string
  to: string
  /** Undefined: all chips. */
  chipIds?: readonly string[] | undefined
}

export type BackfillResult = {
  backfill_id: string
  /** Days that an earlier call with the same arguments had done. */
  days_resumed: number
  days: number
  /** Days at the end that have not begun anywhere: runs measure them when they have. */
  days_to_come: number
  rows_in: number
  rows_written: number
  rows_deleted: number
  users_changed: number
  /** Whether reports-service could not be told of all of them: the next run does it. */
  is_untold: boolean
  /** Chips that were asked for, which the CRM does not have, and which sent nothing on these days; not told by a call that goes on. */
  unmet_chips: string[]
}

/** As long as a part has the lock, a run of the schedule waits: it is a matter of seconds. Each stream has days to do. */
const daysOfPart = (parallel: number) => Math.max(7, parallel * leastDaysOfPiece)

/**
 * Measures days again, whatever is new in them: after rows were changed that nothing noted, or a partition came back.
 *
 * It goes day by day in parts. Each takes the run lock, which a run of the schedule gets before the next part, and is
 * entered like a run, with a number of its own, so that the later of two always stands. No part moves the watermark.
 * What was done is known by the arguments: the same call goes on where the last one stopped.
 */
export async function backfill(
  parts: RunParts,
  request: BackfillRequest,
  stop: AbortSignal,
  onProgress: (progress: BackfillProgress) => void,
): Promise<BackfillResult> {
  const [fromDay, toDay] = [parseDay(request.from), parseDay(request.to)]
  if (toDay < fromDay) throw etlErrors.requestWrong(`--to ${request.to} lies before --from ${request.from}.`)
  const { firstDay } = parts.config
  if (fromDay < parseDay(firstDay))
    throw etlErrors.requestWrong(`Days before ${firstDay} (ETL_FIRST_DAY) are not measured.`)
  const lastBegun = lastBegunDay(parts.now())
  if (fromDay > lastBegun) {
    const begun = `The last day that has begun anywhere is ${dayText(lastBegun)}.`
    throw etlErrors.requestWrong(`--from ${request.from} is still to come. ${begun}`)
  }
  const lastDay = Math.min(toDay, lastBegun)
  const { backfillId, doneDays } = await resume(parts, request.chipIds, { fromDay, toDay: lastDay })
  const result: BackfillResult = {
    backfill_id: backfillId,
    days_resumed: doneDays,
    days: lastDay - fromDay + 1,
    days_to_come: toDay - lastDay,
    rows_in: 0,
    rows_written: 0,
    rows_deleted: 0,
    users_changed: 0,
    is_untold: false,
    // Of those days that an earlier call has measured nothing is known here.
    unmet_chips: doneDays > 0 ? [] : [...(request.chipIds ?? [])],
  }
  onProgress(progressOf(result, doneDays, 0))
  const startedAt = performance.now()
  const step = daysOfPart(parts.config.parallel)
  for (let day = fromDay + doneDays; day <= lastDay; day += step) {
    stop.throwIfAborted()
    const days = { fromDay: day, toDay: Math.min(day + step - 1, lastDay) }
    const part = { backfillId, days, chipIds: request.chipIds }
    const { run, metChips } = await backfillPart(parts, part, stop)
    result.rows_in += run.rows_in
    result.rows_written += run.rows_written
    result.rows_deleted += run.rows_deleted
    result.users_changed += run.users_changed
    // Each part begins with what the one before has left.
    result.is_untold = isUntold(run)
    result.unmet_chips = result.unmet_chips.filter((chip) => !metChips.has(chip))
    onProgress(progressOf(result, days.toDay - fromDay + 1, (performance.now() - startedAt) / 1000))
  }
  return result
}

async function backfillPart(
  parts: RunParts,
  { backfillId, days, chipIds }: { backfillId: string; days: Days; chipIds: readonly string[] | undefined },
  stop: AbortSignal,
): Promise<{ run: EtlRun; metChips: ReadonlySet<string> }> {
  const metChips = new Set<string>()
  const request = {
    kind: 'backfill' as const,
    backfillId,
    fromDay: dayText(days.fromDay),
    toDay: dayText(days.toDay),
  }
  const run = await runUnderLock(parts, request, stop, async (session) => {
    const opening = session.step('open', async () => openView(await session.connect(), session.config))
    const reading = session.step('read', () => readExtraction(session, opening))
    const [extraction] = await allEnded([reading, opening])
    Object.assign(session.record, {
      mode: 'full',
      definition: definitionHash(parts.config),
      default_time_zone: parts.config.timeZone,
      source: extraction.view.traits.source,
      cdc_version: extraction.crm.version,
    })
    noteProblems(session, extraction.problems)
    // That telemetry is old, or little, is why days are measured again.
    const facts = await session.step('check', () => readSourceFacts(session, extraction.view, undefined))
    passChecks(
      session,
      checkSource(session, extraction, facts).filter(({ severity }) => severity === 'block'),
    )
    const noted = session.step('note', () => noteWhatCounts(session, extraction))
    const mark = { version: session.record.run_seq, rewrite: session.since.hasFailed }
    const opened = chipIds
      ? streamChips(session, extraction, chipIds, days, metChips)
      : streamDays(session, extraction, days)
    await loadStreams(session, opened, mark, noted)
    await session.step('invalidate', () => deliverKept(session))
  })
  if (run.state === 'skipped') throw new Error('a part of a backfill waits and is not skipped')
  return { run, metChips }
}

/**
 * All that some chips have on these days: whoever has them now. What others had of it a run has settled.
 * @param metChips gets those that the CRM has, or that sent something
 */
async function streamChips(
  session: RunSession,
  extraction: Extraction,
  chipIds: readonly string[],
  days: Days,
  metChips: Set<string>,
): Promise<Streams> {
  const { view, crm, ownership, changes } = extraction
  const { sizes, config } = session
  const bounds = { fromUs: (days.fromDay - 1) * dayUs, toUs: (days.toDay + 2) * dayUs }
  const windows = await view.windowsOf(chipIds, bounds, 'ALL')
  for (const chip of [...windows.chipId, ...chipIds.filter(ownership.knows)]) metChips.add(chip)
  const touched = touchedDays(windows, ownership, days)
  const owners = crm.prostheses.filter((row) => chipIds.includes(row.chipId))
  const whole = {
    ...changes,
    chipIds: new Set(chipIds),
    prosthesisIds: new Set(owners.map((row) => row.prosthesisId)),
    userIds: new Set(owners.map((row) => row.userId)),
  }
  return streamParts(
    session,
    extraction,
    cutIntoParts(touched, whole, crm.prostheses, days, sizes.windowsOfPart),
    config.parallel,
  )
}

/**
 * The newest backfill of these days and chips and by the same definition, if it is not complete; a new one otherwise. Of a
 * range that reaches into what is still to come, these are other days tomorrow.
 */
async function resume(
  { warehouse, config }: RunParts,
  chipIds: readonly string[] | undefined,
  { fromDay, toDay }: Days,
): Promise<{ backfillId: string; doneDays: number }> {
  const chips = [...(chipIds ?? [])].sort().join('\n')
  const name = createHash('sha256')
    .update(`${dayText(fromDay)} ${dayText(toDay)}\n${chips}\n${definitionHash(config)}`)
    .digest('hex')
    .slice(0, 12)
  const done = await listBackfillParts(warehouse, name)
  const newest = done.reduce((most, part) => Math.max(most, attemptOf(part.backfill_id)), 1)
  const lastDone = done
    .filter((part) => attemptOf(part.backfill_id) === newest)
    .reduce((day, part) => Math.max(day, parseDay(part.to_day!)), fromDay - 1)
  if (lastDone < toDay) return { backfillId: `${name}-${newest}`, doneDays: lastDone - fromDay + 1 }
  return { backfillId: `${name}-${newest + 1}`, doneDays: 0 }
}

function attemptOf(backfillId: string): number {
  return Number(backfillId.split('-')[1])
}
