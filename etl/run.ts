import { randomUUID } from 'node:crypto'
import { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import pg from 'pg'
import type { ChipDays } from './chip-days.ts'
import { readCrm } from './crm.ts'
import { etlErrors } from './errors.ts'
import { deliverInvalidations, type Invalidate, keepInvalidations } from './invalidations.ts'
import { loadStats } from './load-stats.ts'
import { indexOwnership } from './ownership.ts'
import { tryRunLock } from './run-lock.ts'
import { beginRun, type EtlRun, endRun, findLastSuccess, recordNotBegun } from './run-records.ts'
import { readStandingStats } from './standing-stats.ts'
import { compareStats } from './stats-changes.ts'
import { type FoundDays, openTelemetryView, type TelemetryView } from './telemetry.ts'
import { countPairs, withWholeChips } from './touched-days.ts'
import { assignToUsers } from './user-days.ts'

export type RunParts = {
  warehouse: Warehouse
  /** Address of the telemetry database. */
  telemetry: string
  /** What one sort of the extraction may use before it goes to disk, as in `64MB`. */
  workMem: string
  invalidate: Invalidate
  log: Log
  now: () => Date
}

/** A run that did not take place, because another one was going. */
export type SkippedRun = { state: 'skipped' }

/** A run's way through its steps: the connection that holds the lock, and what ends the run early. */
type Run = RunParts & { runId: string; startedAt: Date; client: pg.Client; signal: AbortSignal }

/**
 * One run: extract, assign to users, compare, load, invalidate.
 *
 * It may die at any moment. The watermark is that of the last run that succeeded, a pair is always measured
 * whole, and the list of users to invalidate is kept before anything is loaded: the next run repeats what this
 * one has not finished and finishes what it has.
 * @throws TENDON-ETL-001, or -002 when the telemetry database cannot be reached, after the failure was recorded
 */
export async function runEtl(parts: RunParts, stop: AbortSignal): Promise<EtlRun | SkippedRun> {
  const client = new pg.Client({
    connectionString: parts.telemetry,
    application_name: 'tendon-etl',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  })
  const connectionBroke = new AbortController()
  client.on('error', (cause) => {
    connectionBroke.abort(
      etlErrors.lockLost('The telemetry database ended the connection of the run.', { cause }),
    )
  })
  const runId = randomUUID()
  const run: Run = {
    ...parts,
    runId,
    startedAt: parts.now(),
    log: parts.log.child({ run_id: runId }),
    client,
    signal: AbortSignal.any([stop, connectionBroke.signal]),
  }
  try {
    const begun = await begin(run)
    if (begun.state === 'skipped') return begun
    return await runBegun(run, begun.record, begun.last)
  } finally {
    // Ends the snapshot and frees the lock. A connection that broke has nothing left to end.
    await client.end().catch(() => {})
  }
}

type Begun = { state: 'begun'; record: EtlRun; last: EtlRun | undefined }

/** Takes the lock and enters the run. When it cannot, that is entered, as long as ClickHouse can be reached. */
async function begin(run: Run): Promise<Begun | SkippedRun> {
  const { warehouse, client, log, runId, startedAt } = run
  try {
    await client.connect().catch((cause: unknown) => {
      throw etlErrors.telemetryUnavailable('The telemetry database did not accept a connection.', { cause })
    })
    if (!(await tryRunLock(client))) {
      log.info('run skipped: another one is going')
      return { state: 'skipped' }
    }
    const last = await findLastSuccess(warehouse)
    const watermarkFrom = last?.watermark_to ?? '0'
    const { begun, died } = await beginRun(warehouse, { runId, startedAt, watermarkFrom })
    for (const dead of died) log.warn({ dead_run_id: dead.run_id }, 'an earlier run died')
    return { state: 'begun', record: begun, last }
  } catch (cause) {
    const failure = { runId, startedAt, finishedAt: run.now(), error: describe(cause) }
    await recordNotBegun(warehouse, failure).catch((err: unknown) =>
      log.error({ err }, 'failure not recorded'),
    )
    if (cause instanceof TendonError) throw cause
    throw etlErrors.runFailed('The run could not begin.', { cause })
  }
}

async function runBegun(run: Run, begun: EtlRun, last: EtlRun | undefined): Promise<EtlRun> {
  const { warehouse, client, now } = run
  const record: EtlRun = { ...begun }
  try {
    // Users that an earlier run could not reach do not wait for a run that succeeds.
    await deliver(run, record)
    await advance(run, record, last)
    Object.assign(record, { state: 'succeeded', finished_at: now().toISOString() })
    // Who lost the lock must not say that he succeeded: another run may have begun.
    await client.query('SELECT 1')
    await endRun(warehouse, record)
  } catch (cause) {
    Object.assign(record, { state: 'failed', finished_at: now().toISOString(), error: describe(cause) })
    await endRun(warehouse, record).catch((err: unknown) => run.log.error({ err }, 'failure not recorded'))
    throw etlErrors.runFailed(`Run ${record.run_seq} failed: ${record.error}`, { cause })
  }
  run.log.info(
    {
      run_seq: record.run_seq,
      pairs: record.pairs,
      rows_in: record.rows_in,
      rows_written: record.rows_written,
      rows_deleted: record.rows_deleted,
      users_invalidated: record.users_invalidated,
      step_durations_ms: record.step_durations_ms,
    },
    'run succeeded',
  )
  return record
}

/** The steps of a run, in order; what they find goes into `record`. */
async function advance(run: Run, record: EtlRun, last: EtlRun | undefined): Promise<void> {
  const { warehouse, log } = run
  const step = createStepTimer(record.step_durations_ms, run.signal)

  const [crm, { view, recent }] = await step('open', () =>
    Promise.all([
      readCrm(warehouse, last && { version: last.cdc_version, startedAt: new Date(last.started_at) }),
      openTelemetry(run, record),
    ]),
  )
  record.cdc_version = crm.version
  record.watermark_to = view.xmin

  // From the beginning of the telemetry on, every day of every chip was found already.
  const furtherChips = record.watermark_from === '0' ? [] : crm.reassignedChips
  const history = await step('find', () => view.daysOf(furtherChips))
  const touched = withWholeChips(recent.chipsByDay, history.chipsByDay, crm.reassignedChips)
  record.pairs = countPairs(touched)
  const undatableChips = [...new Set([...recent.undatableChips, ...history.undatableChips])]
  if (undatableChips.length > 0) log.warn({ chip_ids: undatableChips }, 'rows of impossible days left out')

  const [chipDays, standing] = await step('measure', () =>
    Promise.all([view.measure(touched), readStandingStats(warehouse, touched)]),
  )
  await view.close()
  record.rows_in = sumOfEvents(chipDays)

  const { changes, unowned } = await step('compare', async () => {
    const { userDays, unowned } = assignToUsers(chipDays, indexOwnership(crm.ownership))
    return { changes: compareStats(userDays, standing), unowned }
  })
  record.unknown_chips = [...unowned.unknownChips, ...unowned.chipsWithoutOwner].sort()
  if (unowned.pairs > 0) log.warn({ ...unowned }, 'telemetry without an owner')

  await step('load', async () => {
    await keepInvalidations(warehouse, record.run_seq, changes.userIds)
    await loadStats(warehouse, changes.changed, { version: record.run_seq, deleted: false })
    await loadStats(warehouse, changes.vanished, { version: record.run_seq, deleted: true })
  })
  record.rows_written = changes.changed.length
  record.rows_deleted = changes.vanished.length

  await step('invalidate', () => deliver(run, record))
}

/** The snapshot, and what is new in it; from the beginning when the database was restored to an earlier state. */
async function openTelemetry(
  { client, workMem, log }: Run,
  record: EtlRun,
): Promise<{ view: TelemetryView; recent: FoundDays }> {
  const view = await openTelemetryView(client, workMem)
  if (BigInt(record.watermark_from) > BigInt(view.xmin)) {
    const places = { watermark: record.watermark_from, xmin: view.xmin }
    log.warn(places, 'telemetry was restored: measuring all of it')
    record.watermark_from = '0'
  }
  return { view, recent: await view.daysSince(record.watermark_from) }
}

/** A failure is no failure of the run: the list is kept, and the next run begins with it. */
async function deliver({ warehouse, invalidate, signal, log }: Run, record: EtlRun): Promise<void> {
  try {
    await deliverInvalidations(warehouse, invalidate, signal, (users) => {
      record.users_invalidated += users
      log.info({ users }, 'users invalidated')
    })
  } catch (cause) {
    signal.throwIfAborted()
    const err = etlErrors.invalidationFailed(
      'The users whose numbers changed are invalidated by the next run.',
      {
        cause,
      },
    )
    log.error({ err }, 'invalidation failed')
  }
}

/** Runs a step unless the run was ended, and notes how long it took. */
function createStepTimer(durationsMs: Record<string, number>, signal: AbortSignal) {
  return async <Result>(name: string, work: () => Promise<Result>): Promise<Result> => {
    signal.throwIfAborted()
    const startedAt = performance.now()
    try {
      return await work()
    } finally {
      durationsMs[name] = Math.round(performance.now() - startedAt)
    }
  }
}

function sumOfEvents(chipDays: ChipDays): number {
  return chipDays.measures.events.reduce((sum, events) => sum + events, 0)
}

/** What a run's record says about its failure. */
function describe(cause: unknown): string {
  if (cause instanceof TendonError) return `${cause.code}: ${cause.message}`
  return cause instanceof Error ? cause.message : String(cause)
}
