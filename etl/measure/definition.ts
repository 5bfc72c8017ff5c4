import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const files = [
  'metrics.ts',
  'row-rules.ts',
  'day-facts.ts',
  '../telemetry/packed-rows.ts',
  '../telemetry/slim-row.sql',
  '../telemetry/whole-row.sql',
]

// As this process has them: whatever the files become while it runs, it measures by these.
const sources = files.map((file) => readFileSync(new URL(file, import.meta.url)))

/**
 * A hash of what makes the numbers: the files of metrics and rules with all that these are computed by, and options. When
 * it is another one than the last run's, what stands may have been made by other rules, and all of it is measured again:
 * for a comment's sake too, since an old number that stands beside a new one is never noticed.
 */
export function definitionHash(options: { timeZone: string; firstDay: string }): string {
  const hash = createHash('sha256')
  for (const source of sources) hash.update(source)
  return hash.update(`${options.timeZone}\n${options.firstDay}`).digest('hex').slice(0, 16)
}
