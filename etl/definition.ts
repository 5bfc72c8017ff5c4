import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const files = [
  'metrics.ts',
  'row-rules.ts',
  'day-facts.ts',
  'packed-rows.ts',
  'slim-row.sql',
  'whole-row.sql',
]

/**
 * A hash of what makes the numbers: the files of metrics and rules with all that these are computed by, and options. When
 * it is another one than the last run's, what stands may have been made by other rules, and all of it is measured again:
 * for a comment's sake too, since an old number that stands beside a new one is never noticed.
 */
export function definitionHash(options: { timeZone: string; firstDay: string }): string {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(new URL(file, import.meta.url)))
  return hash.update(`${options.timeZone}\n${options.firstDay}`).digest('hex').slice(0, 16)
}
