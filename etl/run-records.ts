import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const count = z.coerce.number<string>()

/** A row of `reports.etl_runs`. Transaction ids and versions are decimal digits, which a number cannot hold. */
const etlRun = z.object({
  run_seq: count,
  run_id: z.uuid(),
  state: z.enum(['running', 'succeeded', 'failed']),
  started_at: z.iso.datetime(),
  finished_at: z.iso.datetime().nullable(),
  watermark_from: z.string(),
  watermark_to: z.string(),
  cdc_version: z.string(),
  pairs: count,
  rows_in: count,
  rows_written: count,
  rows_deleted: count,
  users_invalidated: count,
  unknown_chips: z.array(z.string()),
  step_durations_ms: z.record(z.string(), z.number()),
  error: z.string(),
})
export type EtlRun = z.output<typeof etlRun>

const columns = `
  run_seq, run_id, state, started_at, finished_at, toString(watermark_from) AS watermark_from,
  toString(watermark_to) AS watermark_to, toString(cdc_version) AS cdc_version, pairs, rows_in, rows_written,
  rows_deleted, users_invalidated, unknown_chips, step_durations_ms, error`

const newestRuns = defineQuery({
  name: 'etl-newest-runs',
  sql: `SELECT ${columns} FROM reports.etl_runs FINAL ORDER BY run_seq DESC LIMIT {limit:UInt32}`,
  params: z.object({ limit: z.int() }),
  row: etlRun,
})

const lastSucceededRun = defineQuery({
  name: 'etl-last-succeeded-run',
  sql: `SELECT ${columns} FROM reports.etl_runs FINAL WHERE state = 'succeeded' ORDER BY run_seq DESC LIMIT 1`,
  params: z.object({}),
  row: etlRun,
})

const runningRuns = defineQuery({
  name: 'etl-running-runs',
  sql: `SELECT ${columns} FROM reports.etl_runs FINAL WHERE state = 'running'`,
  params: z.object({}),
  row: etlRun,
})

/**
 * A later state replaces an earlier one; that a run died is said by another run, and stands against its own word.
 * A run that failed before it had the lock may have been given the number of another: that one's word counts.
 */
const stateVersion = { not_begun: 0, started: 1, ended: 2, found_dead: 3 } as const

/** Newest first. */
export function listRuns(warehouse: Warehouse, limit: number): Promise<EtlRun[]> {
  return warehouse.query(newestRuns, { limit })
}

export async function findLastSuccess(warehouse: Warehouse): Promise<EtlRun | undefined> {
  return (await warehouse.query(lastSucceededRun, {}))[0]
}

/**
 * Enters a new run. The caller holds the run lock, so that no other run is given the same number, and every run
 * that still counts as running is dead: those are marked failed.
 */
export async function beginRun(
  warehouse: Warehouse,
  run: { runId: string; startedAt: Date; watermarkFrom: string },
): Promise<{ begun: EtlRun; died: EtlRun[] }> {
  const died = await warehouse.query(runningRuns, {})
  const [newest] = await warehouse.query(newestRuns, { limit: 1 })
  const begun = { ...newRun(run, newest), watermark_from: run.watermarkFrom }
  const buried = died.map((dead) => ({
    ...dead,
    state: 'failed',
    finished_at: begun.started_at,
    error: 'The run died: its process or its connection ended before it could say how it went.',
    _version: stateVersion.found_dead,
  }))
  await warehouse.insertRows('reports.etl_runs', [...buried, { ...begun, _version: stateVersion.started }])
  return { begun, died }
}

/** Enters a run that failed before it could begin. */
export async function recordNotBegun(
  warehouse: Warehouse,
  run: { runId: string; startedAt: Date; finishedAt: Date; error: string },
): Promise<void> {
  const [newest] = await warehouse.query(newestRuns, { limit: 1 })
  const failed: EtlRun = {
    ...newRun(run, newest),
    state: 'failed',
    finished_at: run.finishedAt.toISOString(),
    error: run.error,
  }
  await warehouse.insertRows('reports.etl_runs', [{ ...failed, _version: stateVersion.not_begun }])
}

function newRun(run: { runId: string; startedAt: Date }, newest: EtlRun | undefined): EtlRun {
  return {
    run_seq: (newest?.run_seq ?? 0) + 1,
    run_id: run.runId,
    state: 'running',
    started_at: run.startedAt.toISOString(),
    finished_at: null,
    watermark_from: '0',
    watermark_to: '0',
    cdc_version: '0',
    pairs: 0,
    rows_in: 0,
    rows_written: 0,
    rows_deleted: 0,
    users_invalidated: 0,
    unknown_chips: [],
    step_durations_ms: {},
    error: '',
  }
}

export async function endRun(warehouse: Warehouse, run: EtlRun): Promise<void> {
  await warehouse.insertRows('reports.etl_runs', [{ ...run, _version: stateVersion.ended }])
}
