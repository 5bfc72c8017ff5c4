import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { readStandingVersions } from '../load/standing-versions.ts'

const count = z.coerce.number<string>()

/** A row of `reports.etl_runs`. Transaction ids and versions are decimal digits, which a number cannot hold. */
const etlRun = z.object({
  run_seq: count,
  run_id: z.uuid(),
  state: z.enum(['running', 'succeeded', 'failed']),
  kind: z.enum(['run', 'backfill']),
  holder: z.string(),
  mode: z.enum(['', 'increment', 'full']),
  full_reason: z.string(),
  started_at: z.iso.datetime(),
  finished_at: z.iso.datetime().nullable(),
  watermark_from: z.string(),
  watermark_to: z.string(),
  cdc_version: z.string(),
  watermark_kind: z.enum(['xid', 'timestamp']),
  watermark_lag_s: z.number(),
  source: z.string(),
  definition: z.string(),
  default_time_zone: z.string(),
  pairs: count,
  rows_in: count,
  rows_quarantined: count,
  rows_unowned: count,
  rows_written: count,
  rows_deleted: count,
  rows_unchanged: count,
  users_changed: count,
  users_invalidated: count,
  unknown_chips: z.array(z.string()),
  problems: z.array(z.object({ kind: z.string(), subject: z.string(), detail: z.string() })),
  backfill_id: z.string(),
  from_day: z.iso.date().nullable(),
  to_day: z.iso.date().nullable(),
  step_durations_ms: z.record(z.string(), z.number()),
  error: z.string(),
})
export type EtlRun = z.output<typeof etlRun>

const columns = `
  run_seq, run_id, state, kind, holder, mode, full_reason, started_at, finished_at,
  toString(watermark_from) AS watermark_from, toString(watermark_to) AS watermark_to,
  toString(cdc_version) AS cdc_version, watermark_kind, watermark_lag_s, source, definition, default_time_zone, pairs, rows_in,
  rows_quarantined, rows_unowned, rows_written, rows_deleted, rows_unchanged, users_changed, users_invalidated,
  unknown_chips, problems, backfill_id, from_day, to_day, step_durations_ms, error`

const newestRuns = defineQuery({
  name: 'etl-newest-runs',
  sql: `SELECT ${columns} FROM reports.etl_runs FINAL ORDER BY run_seq DESC LIMIT {limit:UInt32}`,
  params: z.object({ limit: z.int() }),
  row: etlRun,
})

const backfillParts = defineQuery({
  name: 'etl-backfill-parts',
  sql: `
    SELECT ${columns} FROM reports.etl_runs FINAL
    WHERE state = 'succeeded' AND startsWith(backfill_id, {prefix:String})
    ORDER BY run_seq`,
  params: z.object({ prefix: z.string() }),
  row: etlRun,
})

const lastSuccess = `(SELECT max(run_seq) FROM reports.etl_runs FINAL WHERE state = 'succeeded' AND kind = 'run')`

const lastSucceededRun = defineQuery({
  name: 'etl-last-succeeded-run',
  sql: `SELECT ${columns} FROM reports.etl_runs FINAL WHERE run_seq = ${lastSuccess}`,
  params: z.object({}),
  row: etlRun,
})

/** The last that succeeded, the newest, and all that count as running. */
const runsBefore = defineQuery({
  name: 'etl-runs-before',
  sql: `
    SELECT ${columns} FROM reports.etl_runs FINAL
    WHERE state = 'running' OR run_seq IN (${lastSuccess}, (SELECT max(run_seq) FROM reports.etl_runs))
    ORDER BY run_seq`,
  params: z.object({}),
  row: etlRun,
})

/** Since when runs have found the same watermark: it does not move while a transaction is open. */
const watermarkSince = defineQuery({
  name: 'etl-watermark-since',
  sql: `
    SELECT min(started_at) AS since
    FROM reports.etl_runs FINAL
    WHERE state = 'succeeded' AND kind = 'run' AND watermark_to = {watermark:UInt64}
    HAVING count() > 0`,
  params: z.object({ watermark: z.string() }),
  row: z.object({ since: z.iso.datetime() }),
})

const runsSince = defineQuery({
  name: 'etl-runs-since',
  sql: `
    SELECT
      toBool(countIf(state != 'succeeded')) AS "hasFailed",
      arrayFilter(text -> text != '', groupUniqArray(definition)) AS definitions,
      arrayFilter(text -> text != '', groupUniqArray(source)) AS sources
    FROM reports.etl_runs FINAL
    WHERE run_seq > ${lastSuccess}`,
  params: z.object({}),
  row: z.object({ hasFailed: z.boolean(), definitions: z.array(z.string()), sources: z.array(z.string()) }),
})

/** What runs and parts of backfills have gone by since the last run that succeeded, those that died included. */
export type RunsSince = z.output<typeof runsSince.row>

/**
 * A later state replaces an earlier one; that a run died is said by another run, and stands against its own word.
 * A run that failed before it had the lock may have been given the number of another: that one's word counts.
 */
const stateVersion = { not_begun: 0, started: 1, described: 2, ended: 3, found_dead: 4 } as const

/** Newest first. */
export function listRuns(warehouse: Warehouse, limit: number): Promise<EtlRun[]> {
  return warehouse.query(newestRuns, { limit })
}

/** The parts that succeeded of all backfills with the same arguments. */
export function listBackfillParts(warehouse: Warehouse, name: string): Promise<EtlRun[]> {
  return warehouse.query(backfillParts, { prefix: `${name}-` })
}

/** When a run first found this watermark; undefined when none has yet. */
export async function findWatermarkSince(warehouse: Warehouse, watermark: string): Promise<Date | undefined> {
  const [row] = await warehouse.query(watermarkSince, { watermark })
  return row && new Date(row.since)
}

export async function findLastSuccess(warehouse: Warehouse): Promise<EtlRun | undefined> {
  return (await warehouse.query(lastSucceededRun, {}))[0]
}

/** Since the last run that succeeded. */
export async function readRunsSince(warehouse: Warehouse): Promise<RunsSince> {
  const [row] = await warehouse.query(runsSince, {})
  return row!
}

/** What a run is known by when it begins. */
export type NewRun = Pick<EtlRun, 'run_id' | 'started_at' | 'kind' | 'holder'> &
  Partial<Pick<EtlRun, 'watermark_from' | 'backfill_id' | 'from_day' | 'to_day'>>

/** A run that is entered, and what it goes on from. */
export type BegunRun = {
  begun: EtlRun
  died: EtlRun[]
  last: EtlRun | undefined
  since: RunsSince
  hasLoss: boolean
}

/**
 * Enters a new run. The caller holds the run lock, so that no other run is given the same number, and every run
 * that still counts as running is dead: those are marked failed. Its number is above all that runs have written.
 */
export async function beginRun(warehouse: Warehouse, run: NewRun): Promise<BegunRun> {
  const [before, since, { newest, hasLoss }] = await Promise.all([
    warehouse.query(runsBefore, {}),
    readRunsSince(warehouse),
    readStandingVersions(warehouse),
  ])
  const last = before.findLast(({ state, kind }) => state === 'succeeded' && kind === 'run')
  const died = before.filter(({ state }) => state === 'running')
  const entry = { ...run, watermark_from: last?.watermark_to ?? '0' }
  const begun = numbered(entry, Math.max(newest, before.at(-1)?.run_seq ?? 0))
  const buried = died.map((dead) => ({
    ...dead,
    state: 'failed',
    finished_at: begun.started_at,
    error: 'The run died: its process or its connection ended before it could say how it went.',
    _version: stateVersion.found_dead,
  }))
  await warehouse.insertRows('reports.etl_runs', [...buried, { ...begun, _version: stateVersion.started }])
  return { begun, died, last, since, hasLoss }
}

/** Adds to the entry of a run by what it measures, while it is still going. */
export async function describeRun(warehouse: Warehouse, run: EtlRun): Promise<void> {
  await warehouse.insertRows('reports.etl_runs', [{ ...run, _version: stateVersion.described }])
}

/** Enters a run that failed before it could begin. */
export async function recordNotBegun(
  warehouse: Warehouse,
  run: NewRun & Pick<EtlRun, 'finished_at' | 'error'>,
): Promise<void> {
  const [newest] = await warehouse.query(newestRuns, { limit: 1 })
  const failed: EtlRun = { ...numbered(run, newest?.run_seq ?? 0), state: 'failed' }
  await warehouse.insertRows('reports.etl_runs', [{ ...failed, _version: stateVersion.not_begun }])
}

export function numbered(run: NewRun, newestSeq: number): EtlRun {
  return {
    run_seq: newestSeq + 1,
    state: 'running',
    mode: '',
    full_reason: '',
    finished_at: null,
    watermark_from: '0',
    watermark_to: '0',
    cdc_version: '0',
    watermark_kind: 'xid',
    watermark_lag_s: 0,
    source: '',
    definition: '',
    default_time_zone: 'UTC',
    pairs: 0,
    rows_in: 0,
    rows_quarantined: 0,
    rows_unowned: 0,
    rows_written: 0,
    rows_deleted: 0,
    rows_unchanged: 0,
    users_changed: 0,
    users_invalidated: 0,
    unknown_chips: [],
    problems: [],
    backfill_id: '',
    from_day: null,
    to_day: null,
    step_durations_ms: {},
    error: '',
    ...run,
  }
}

export async function endRun(warehouse: Warehouse, run: EtlRun): Promise<void> {
  await warehouse.insertRows('reports.etl_runs', [{ ...run, _version: stateVersion.ended }])
}
