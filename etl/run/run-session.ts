import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import { foreignReason } from '@tendon/platform/reason-of.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import type { ReadCrm } from '../crm/crm.ts'
import { etlErrors } from '../errors.ts'
import type { Invalidate } from '../invalidate/invalidations.ts'
import type { StatsChanges } from '../load/stats-changes.ts'
import type { UserDays } from '../measure/user-days.ts'
import type { MeasuringConfig, RunConfig } from '../options.ts'
import type { BatchSizes } from './batch-sizes.ts'
import { createConnections } from './run-connections.ts'
import { endHolder, takeRunLock, waitForRunLock } from './run-lock.ts'
import { beginRun, type EtlRun, endRun, type NewRun, type RunsSince, recordNotBegun } from './run-records.ts'
import { createStepTimer, type StepTimer, traceRun } from './run-steps.ts'

/** What is read, and measured. */
export type ReadingParts = {
  warehouse: Warehouse
  /** Address of the telemetry database. */
  telemetry: string
  readCrm: ReadCrm
  log: Log
  now: () => Date
  sizes: BatchSizes
}

export type RunParts = ReadingParts & { config: RunConfig; invalidate: Invalidate }

/** A run that did not take place, because another one was going. */
export type SkippedRun = { state: 'skipped' }

/** What a run is asked to be. */
export type RunRequest =
  | { kind: 'run'; acceptChecks: boolean }
  | { kind: 'backfill'; backfillId: string; fromDay: string; toDay: string }

/** A run that holds the lock and is entered. */
export type RunSession = ReadingParts & {
  config: MeasuringConfig
  invalidate: Invalidate
  record: EtlRun
  /** The last run that moved the watermark. */
  last: EtlRun | undefined
  /**
   * Since `last`. A run that died or failed may still be writing, and what it writes must not stand; and an insert that
   * was cut off may be in the copy by day alone.
   */
  since: RunsSince
  /** Whether ClickHouse lacks statistics, or ownership, that runs have written. */
  hasLoss: boolean
  /** The connection that holds the lock. */
  client: pg.Client
  /** Another connection, which ends with the run. */
  connect(): Promise<pg.Client>
  /** Aborted when the run is to end: told to, out of time, or without its lock. */
  signal: AbortSignal
  step: StepTimer
  /** Fails unless the run still has its lock. Whoever writes asks right before. */
  assertLock(): Promise<void>
  /** Whether it loads in spite of checks that block. */
  acceptChecks: boolean
  /** Is shown what each batch changes, beside what stands. */
  inspect?: (changes: StatsChanges, standing: UserDays) => void
}

const waitForBackfillMs = 120_000
/** Of a run's time: what a part of a backfill waits for another run to end. */
const waitForRunShare = 1 / 4

/**
 * Does `work` as a run: under the lock, entered before and after, in one trace.
 *
 * It may die at any moment. The watermark is that of the last run that succeeded, a day is always measured whole, and
 * the list of users to invalidate is kept before anything is loaded: the next run repeats what this one has not
 * finished and finishes what it has.
 * @throws TENDON-ETL-001, -002 when the telemetry database cannot be reached, or -005 when `stop` says so, after it was recorded
 */
export function runUnderLock(
  parts: RunParts,
  request: RunRequest,
  stop: AbortSignal,
  work: (session: RunSession) => Promise<void>,
): Promise<EtlRun | SkippedRun> {
  const runId = randomUUID()
  return traceRun(runId, request.kind, async () => {
    const connections = createConnections(parts.telemetry)
    const timeLimit = setTimeout(() => {
      const limit = `${parts.config.runTimeoutMinutes} minutes`
      // A query that hangs does not look at signals.
      connections.breakAll(etlErrors.runTookTooLong(`The run has gone on for ${limit} and is ended.`))
    }, parts.config.runTimeoutMinutes * 60_000)
    const signal = AbortSignal.any([stop, connections.broken])
    const log = parts.log.child({ run_id: runId })
    const entry = entryOf(runId, request, parts.now())
    // It may wait for others to end, for long; and holds nothing yet.
    const giveUp = () => connections.breakAll(stop.reason)
    stop.addEventListener('abort', giveUp)
    try {
      const beginning = begin({ ...parts, log }, request, entry, connections.connect, signal)
      const begun = await beginning.finally(() => stop.removeEventListener('abort', giveUp))
      if (begun.state === 'skipped') return begun
      const acceptChecks = request.kind === 'run' && request.acceptChecks
      return await finish(
        { ...parts, ...begun, log, connect: connections.connect, signal, acceptChecks },
        work,
      )
    } catch (err) {
      log.error({ err }, 'run failed')
      throw err
    } finally {
      clearTimeout(timeLimit)
      // Ends the snapshots and frees the lock.
      await connections.endAll()
    }
  })
}

function entryOf(runId: string, request: RunRequest, startedAt: Date): NewRun {
  const entry = {
    run_id: runId,
    started_at: startedAt.toISOString(),
    kind: request.kind,
    holder: `${hostname()}/${process.pid}`,
  }
  if (request.kind === 'run') return entry
  const { backfillId, fromDay, toDay } = request
  return { ...entry, backfill_id: backfillId, from_day: fromDay, to_day: toDay }
}

type Begun = Pick<RunSession, 'record' | 'last' | 'since' | 'hasLoss' | 'client'> & {
  state: 'begun'
}

/** Takes the lock and enters the run. When it cannot, that is entered, as long as ClickHouse can be reached. */
async function begin(
  parts: RunParts,
  request: RunRequest,
  entry: NewRun,
  connect: () => Promise<pg.Client>,
  signal: AbortSignal,
): Promise<Begun | SkippedRun> {
  const { warehouse, log } = parts
  try {
    const client = await connect()
    if (request.kind === 'backfill') {
      const minutes = parts.config.runTimeoutMinutes * waitForRunShare
      if (!(await waitForRunLock(client, minutes * 60_000))) {
        throw etlErrors.lockBusy(`The lock was not to be had within ${minutes} minutes.`)
      }
    } else if (!(await takeLock(client, parts))) {
      log.info('run skipped: another one is going')
      return { state: 'skipped' }
    }
    const { begun, died, ...before } = await beginRun(warehouse, entry)
    for (const dead of died) log.warn({ dead_run_id: dead.run_id }, 'an earlier run died')
    return { state: 'begun', record: begun, client, ...before }
  } catch (thrown) {
    const cause = signal.aborted ? signal.reason : thrown
    const failure = { ...entry, finished_at: parts.now().toISOString(), error: describe(cause) }
    await recordNotBegun(warehouse, failure).catch((err: unknown) =>
      log.error({ err }, 'failure not recorded'),
    )
    if (cause instanceof TendonError) throw cause
    throw etlErrors.runFailed('The run could not begin.', { cause })
  }
}

/** A run that has gone on for twice its time has not been able to end itself: its machine may be gone or asleep. */
async function takeLock(client: pg.Client, { config, log }: RunParts): Promise<boolean> {
  const lock = await takeRunLock(client, waitForBackfillMs)
  if (lock.state === 'taken') return true
  const { holder } = lock
  if (!holder || holder.heldForMs < config.runTimeoutMinutes * 120_000) return false
  log.error({ holder_pid: holder.pid, held_for_s: holder.heldForMs / 1000 }, 'ending a run that is stuck')
  return endHolder(client, holder)
}

async function finish(
  parts: Omit<RunSession, 'step' | 'assertLock'>,
  work: (session: RunSession) => Promise<void>,
): Promise<EtlRun> {
  const { warehouse, client, now, record, log, signal } = parts
  const session: RunSession = {
    ...parts,
    step: createStepTimer(record.step_durations_ms, signal),
    async assertLock() {
      signal.throwIfAborted()
      await client.query('SELECT 1')
    },
  }
  try {
    await work(session)
    Object.assign(record, { state: 'succeeded', finished_at: now().toISOString() })
    // Who lost the lock must not say that he succeeded: another run may have begun.
    await session.assertLock()
    await endRun(warehouse, record)
  } catch (thrown) {
    const cause = signal.aborted ? signal.reason : thrown
    Object.assign(record, { state: 'failed', finished_at: now().toISOString(), error: describe(cause) })
    await endRun(warehouse, record).catch((err: unknown) => log.error({ err }, 'failure not recorded'))
    // Who has told it to stop knows why, and that it is no failure.
    if (cause instanceof TendonError && cause.code === etlErrors.interrupted.code) throw cause
    throw etlErrors.runFailed(`Run ${record.run_seq} failed: ${record.error}`, { cause })
  }
  // Each line of this log has the run's id.
  const { run_id, step_durations_ms, problems, unknown_chips, ...rest } = record
  log.info({ ...rest, problems: problems.length, step_durations_ms }, 'run succeeded')
  return record
}

/** What a run's record says about its failure. */
function describe(cause: unknown): string {
  if (cause instanceof TendonError) {
    const reason = foreignReason(cause)
    return `${cause.code}: ${cause.message}${reason === undefined ? '' : ` ${reason}`}`
  }
  return cause instanceof Error ? cause.message : String(cause)
}
