import { randomUUID } from 'node:crypto'
import { withoutCopyByDay } from '../load/standing-stats.ts'
import { readStandingVersions } from '../load/standing-versions.ts'
import type { StatsChanges } from '../load/stats-changes.ts'
import { type UserDays, valuesOf } from '../measure/user-days.ts'
import type { MeasuringConfig } from '../options.ts'
import { dayText } from '../time/instants.ts'
import { advance } from './run.ts'
import { createConnections } from './run-connections.ts'
import { type EtlRun, findLastSuccess, numbered, readRunsSince } from './run-records.ts'
import type { ReadingParts, RunSession } from './run-session.ts'
import { createStepTimer } from './run-steps.ts'

/** One row that a run would write. */
export type PlannedChange = {
  user_id: string
  prosthesis_id: string
  day: string
  change: 'new' | 'changed' | 'gone'
  /** Only what differs; null is null, and a value that is not there is missing. */
  before: Record<string, number | string | null>
  after: Record<string, number | string | null>
}

/** What the record of the run would say, and some of the rows. */
export type Plan = Pick<
  EtlRun,
  | 'mode'
  | 'full_reason'
  | 'pairs'
  | 'rows_in'
  | 'rows_quarantined'
  | 'rows_unowned'
  | 'rows_written'
  | 'rows_deleted'
  | 'rows_unchanged'
  | 'problems'
> & {
  users: number
  /** Users of earlier runs, of whom reports-service has not been told yet: the run begins with them. */
  users_kept: number
  sample: PlannedChange[]
}

const sampleSize = 10

/**
 * What a run would do now: it is done, with a warehouse that takes nothing in. It needs no lock, since it changes
 * nothing; checks that would block are listed among the problems.
 */
export async function planRun(parts: ReadingParts & { config: MeasuringConfig }): Promise<Plan> {
  const connections = createConnections(parts.telemetry)
  const signal = connections.broken
  const last = await findLastSuccess(parts.warehouse)
  const record = numbered(
    {
      run_id: randomUUID(),
      started_at: parts.now().toISOString(),
      kind: 'run',
      holder: '',
      watermark_from: last?.watermark_to ?? '0',
    },
    last?.run_seq ?? 0,
  )
  const { hasLoss } = await readStandingVersions(parts.warehouse)
  const sample: PlannedChange[] = []
  try {
    const session: RunSession = {
      ...parts,
      warehouse: {
        // A run makes the copies anew first.
        ...(hasLoss ? withoutCopyByDay(parts.warehouse) : parts.warehouse),
        insertRows: async () => {},
        insertLines: async () => {},
        command: async () => {},
      },
      invalidate: async () => {},
      log: parts.log.child({ run_id: record.run_id }),
      record,
      last,
      since: await readRunsSince(parts.warehouse),
      hasLoss,
      client: await connections.connect(),
      connect: connections.connect,
      signal,
      step: createStepTimer(record.step_durations_ms, signal),
      acceptChecks: true,
      assertLock: async () => signal.throwIfAborted(),
      inspect: (changes, standing) => {
        if (sample.length < sampleSize)
          sample.push(...sampleOf(changes, standing, sampleSize - sample.length))
      },
    }
    await advance(session)
  } finally {
    await connections.endAll()
  }
  return {
    mode: record.mode,
    full_reason: record.full_reason,
    pairs: record.pairs,
    rows_in: record.rows_in,
    rows_quarantined: record.rows_quarantined,
    rows_unowned: record.rows_unowned,
    rows_written: record.rows_written,
    rows_deleted: record.rows_deleted,
    rows_unchanged: record.rows_unchanged,
    users: record.users_changed,
    users_kept: record.users_invalidated - record.users_changed,
    problems: record.problems,
    sample,
  }
}

function sampleOf({ changed, vanished }: StatsChanges, standing: UserDays, size: number): PlannedChange[] {
  const keyOf = (rows: UserDays, row: number) =>
    [rows.userId[row], rows.prosthesisId[row], rows.day[row]].join()
  const before = new Map(Array.from(standing.day, (_, row) => [keyOf(standing, row), row]))
  const changes = Array.from(changed.day.subarray(0, size), (_, row): PlannedChange => {
    const former = before.get(keyOf(changed, row))
    const [was, is] = [former === undefined ? {} : valuesOf(standing, former), valuesOf(changed, row)]
    const differing = Object.keys(is).filter((name) => was[name] !== is[name])
    const only = (values: Record<string, number | string | null>) =>
      Object.fromEntries(differing.flatMap((name) => (name in values ? [[name, values[name]!]] : [])))
    return {
      ...nameOf(changed, row),
      change: former === undefined ? 'new' : 'changed',
      before: only(was),
      after: only(is),
    }
  })
  const gone = Array.from(vanished.day.subarray(0, size - changes.length), (_, row): PlannedChange => {
    return { ...nameOf(vanished, row), change: 'gone', before: valuesOf(vanished, row), after: {} }
  })
  return [...changes, ...gone]
}

function nameOf(rows: UserDays, row: number): Pick<PlannedChange, 'user_id' | 'prosthesis_id' | 'day'> {
  return { user_id: rows.userId[row]!, prosthesis_id: rows.prosthesisId[row]!, day: dayText(rows.day[row]!) }
}
