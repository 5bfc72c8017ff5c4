import { createHash } from 'node:crypto'
import { readStatement } from './copy-statement.ts'
import { metrics } from './metrics.ts'
import { rowRules } from './row-rules.ts'

/**
 * A hash of what makes the numbers: metrics, rules and options. When it is another one than the last run's, what stands
 * was made by other rules, and all of it is measured again.
 */
export function definitionHash(options: { timeZone: string; firstDay: string }): string {
  const parts = [
    ...metrics.map(({ name, type, of }) => `${name} ${type} ${of}`),
    ...rowRules.map(({ name, what, breaks }) => `${name} ${what} ${breaks}`),
    readStatement('slim-row.sql')({}),
    readStatement('whole-row.sql')({}),
    options.timeZone,
    options.firstDay,
  ]
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16)
}
