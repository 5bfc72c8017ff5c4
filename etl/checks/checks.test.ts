import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type MetricName, metrics } from '../measure/metrics.ts'
import { createUserDaysBuilder, type UserDays } from '../measure/user-days.ts'
import { batchChecks, failedChecks, sourceChecks } from './checks.ts'

const owner = {
  prosthesisId: 'p1',
  userId: 'u1',
  chipId: 'c1',
  modelId: 1,
  issuedDay: 0,
  returnedDay: null,
  timeZone: 'UTC',
}

/** Two days, the second of which has one metric at a value, and everything else in its range. */
function daysWith(name: MetricName, value: number): UserDays {
  const builder = createUserDaysBuilder()
  const sensible = Float64Array.from(metrics, ({ range: [least] }) => least)
  builder.append(owner, 19_782, '1.0.0', sensible)
  builder.append(
    owner,
    19_783,
    '1.0.0',
    sensible.map((sense, i) => (metrics[i]!.name === name ? value : sense)),
  )
  return builder.build()
}

describe.each(metrics)('$name', ({ name, range: [least, most] }) => {
  test.each([least, most, Number.NaN])('%d is loaded', (value) => {
    expect(failedChecks(batchChecks, daysWith(name, value))).toEqual([])
  })

  test.each([least - 1, most + most / 1000, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%d keeps the run from loading, and says where it is',
    (value) => {
      expect(failedChecks(batchChecks, daysWith(name, value))).toEqual([
        {
          check: `range_of_${name}`,
          severity: 'block',
          detail: `${name} is ${value} for prosthesis p1 on 2024-03-01`,
        },
      ])
    },
  )
})

test('README.md has the checks as they are, and what becomes of a run that fails one', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, table = ''] = /\| check \|.*\n\|(?:---\|)+\n((?:\|.*\n)+)/.exec(readme) ?? []
  const [ranges] = batchChecks
  expect(table.trim().split('\n')).toEqual([
    ...sourceChecks.map(({ name, what, severity }) => `| \`${name}\` | ${what} | ${severity} |`),
    `| \`range_of_<metric>\` | the metric is within its range, above | ${ranges!.severity} |`,
  ])
})
