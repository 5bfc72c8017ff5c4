import type { Problem } from '../crm/ownership.ts'
import { metrics } from '../measure/metrics.ts'
import type { UserDays } from '../measure/user-days.ts'
import { dayText } from '../time/instants.ts'

/** What a failed check does: `block` fails the run before it loads anything more; `warn` is said in its record. */
export type Severity = 'block' | 'warn'

export type Check<Facts> = {
  name: string
  what: string
  severity: Severity
  /** @returns what is wrong; undefined when nothing is */
  fault(facts: Facts): string | undefined
}

/** What is known before anything is measured. */
export type SourceFacts = {
  /** Prostheses in the CRM, and how many of those that the last run saw are gone. */
  prostheses: number
  prosthesesGone: number
  /** Whether any telemetry was recorded in the last `freshHours`. */
  hasFreshRows: boolean
  /** Telemetry rows of the last days that were complete when they were measured, the newest first. */
  rowsByDay: readonly number[]
}

export const freshHours = 6
const fewestGone = 10
const leastDriftDays = 4

export const sourceChecks: readonly Check<SourceFacts>[] = [
  {
    name: 'prostheses_gone',
    what: 'not more than half of the prostheses, and ten, are gone from the CRM since the last run',
    severity: 'block',
    fault: ({ prostheses, prosthesesGone }) =>
      prosthesesGone > fewestGone && prosthesesGone > prostheses
        ? `${prosthesesGone} prostheses are gone at once, and ${prostheses} are left`
        : undefined,
  },
  {
    name: 'freshness',
    what: `telemetry was recorded within the last ${freshHours} hours`,
    severity: 'warn',
    fault: ({ hasFreshRows }) =>
      hasFreshRows ? undefined : `no telemetry was recorded in the last ${freshHours} hours`,
  },
  {
    name: 'row_count_drift',
    what: 'the last day that is over wherever a patient lives has between half and twice as many rows as the median of the week before it',
    severity: 'warn',
    fault: ({ rowsByDay: [newest = 0, ...before] }) => {
      // Days without rows are those before there was telemetry at all, but for the newest.
      const used = before.filter((rows) => rows > 0).sort((a, b) => a - b)
      if (used.length < leastDriftDays) return undefined
      const median = used[Math.floor(used.length / 2)]!
      return newest < median / 2 || newest > median * 2
        ? `${newest} rows on the last complete day, where the median of the days before is ${median}`
        : undefined
    },
  },
]

/** Every metric is within the range it is declared with. */
export const batchChecks: readonly Check<UserDays>[] = metrics.map(({ name, range: [least, most] }) => ({
  name: `range_of_${name}`,
  what: `${name} is between ${least} and ${most}`,
  severity: 'block' as const,
  fault: (rows: UserDays) => {
    const wrong = rows.metrics[name].findIndex((value) => value < least || value > most)
    return wrong === -1
      ? undefined
      : `${name} is ${rows.metrics[name][wrong]} for prosthesis ${rows.prosthesisId[wrong]} on ${dayText(rows.day[wrong]!)}`
  },
}))

export type FailedCheck = { check: string; severity: Severity; detail: string }

export function failedChecks<Facts>(checks: readonly Check<Facts>[], facts: Facts): FailedCheck[] {
  return checks.flatMap(({ name, severity, fault }) => {
    const detail = fault(facts)
    return detail === undefined ? [] : [{ check: name, severity, detail }]
  })
}

export function asProblem({ check, severity, detail }: FailedCheck): Problem {
  return { kind: severity === 'block' ? 'failed_check' : 'warning_check', subject: check, detail }
}
