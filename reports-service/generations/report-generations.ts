import type { LoadedReport, ReadWarehouse, ReportParameters } from '../declarations/report.ts'
import { readNewestRun } from '../freshness/freshness.ts'
import { type Generations, generationAt, generationTimeMs } from './generations.ts'

/** A state of the data that a report is made of, and how often the report's time to live has passed since it began. */
export type ReportGeneration = { generation: string; age: number }

export type ReportGenerations = {
  current(report: LoadedReport, parameters: Pick<ReportParameters, 'user_id'>): Promise<ReportGeneration>
  /** Goes on to another generation, for an object that cannot be read has this one. */
  leave(parameters: Pick<ReportParameters, 'user_id'>, left: ReportGeneration): Promise<void>
}

/**
 * A customer's reports have the customer's generation. Those of everybody have that of the newest ETL run or backfill,
 * read from ClickHouse before the report's own queries: what they see is at least as new. So there is no key that
 * each invalidation of anybody would have to move, and the fleet is computed once a run and not with every change.
 *
 * So a hit of the fleet asks ClickHouse, before and after, where a customer's asks the key-value store alone. Nobody else
 * knows that a run has succeeded, and to remember the newest for a while would hand out the report of the run before it, as
 * if it were as current as the freshness that was read since. Staff alone read it, and to ask takes some 10 ms with two
 * years of runs (measured).
 */
export function createReportGenerations(options: {
  generations: Generations
  read: ReadWarehouse
  /** For no longer than this a name is used, whatever a report's own time to live is: objects are deleted by their age alone. */
  maxAgeMs: number
  now: () => number
}): ReportGenerations {
  const { generations, read, maxAgeMs, now } = options
  /** Runs with an object that cannot be read; the name then ends in something else. */
  const spoiled = new Map<string, number>()

  async function ofNewestRun(): Promise<string> {
    const run = await readNewestRun(read)
    const generation = run
      ? generationAt(Date.parse(run.finished_at ?? ''), run.run_id.replaceAll('-', ''))
      : generationAt(0, 'none')
    const times = spoiled.get(generation)
    return times ? `${generation}~${times}` : generation
  }

  return {
    async current(report, { user_id }) {
      const generation = user_id === null ? await ofNewestRun() : await generations.current(user_id)
      const age = Math.floor((now() - generationTimeMs(generation)) / Math.min(report.ttlMs, maxAgeMs))
      return { generation, age: Math.max(age, 0) }
    },
    async leave({ user_id }, { generation }) {
      if (user_id !== null) return generations.leave(user_id, generation)
      const [run = generation, times = '0'] = generation.split('~')
      spoiled.set(run, Number(times) + 1)
    },
  }
}
