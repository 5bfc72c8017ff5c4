import type { Freshness } from '@tendon/contracts/freshness.ts'
import type { Problem } from '@tendon/contracts/problem.ts'
import type { ReportLink } from '@tendon/contracts/reports-api.ts'

/** What all reports have that are shown. */
export type ShownReport = {
  date: string
  parameters: Record<string, string>
  generated_at: string
  freshness: Freshness
}

/** What the page knows about the report it shows. */
export type LiveReport<Report extends ShownReport> = {
  /** The newest report that was read, which may still be that of what was shown before. */
  report: Report | null
  freshness: Freshness | null
  generatedAt: string | null
  /** What went wrong last, for that day; null as long as all goes well. */
  failure: { date: string; problem: Problem } | null
  /** When the numbers or names on the screen last changed under the reader's eyes. */
  changedAtMs: number | null
}

export const nothingYet: LiveReport<never> = {
  report: null,
  freshness: null,
  generatedAt: null,
  failure: null,
  changedAtMs: null,
}

/** An object's name, which changes with its content; the signature behind it changes all the time. */
export const objectPath = (url: string) => new URL(url).pathname

/** The link was asked for again: it says how current the report is now, the object only what it was made from. */
export function withLink<Report extends ShownReport>(
  before: LiveReport<Report>,
  link: ReportLink,
): LiveReport<Report> {
  return { ...before, freshness: link.freshness, generatedAt: link.generated_at, failure: null }
}

/** Another object was read. A new object with the same content is no change to the reader, nor is another day. */
export function withReport<Report extends ShownReport>(
  before: LiveReport<Report>,
  report: Report,
  nowMs: number,
): LiveReport<Report> {
  if (!before.report || askedOf(before.report) !== askedOf(report))
    return { ...before, report, changedAtMs: null }
  const isSame = contentOf(before.report) === contentOf(report)
  return { ...before, report, changedAtMs: isSame ? before.changedAtMs : nowMs }
}

const askedOf = ({ date, parameters }: ShownReport) => JSON.stringify([date, parameters])
const contentOf = (report: ShownReport) => JSON.stringify({ ...report, generated_at: null, freshness: null })

/** What is on the screen stays there, unless the day turned out to have no report or not to be ours to read. */
export function withFailure<Report extends ShownReport>(
  before: LiveReport<Report>,
  date: string,
  problem: Problem,
): LiveReport<Report> {
  const isFinal = problem.status === 400 || problem.status === 403 || problem.status === 404
  return { ...before, report: isFinal ? null : before.report, failure: { date, problem } }
}
