import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { metrics } from './metrics.ts'

/** What a column of numbers cannot be above anyway is no bound that a reader asks for. */
const unbounded = 2 ** 32 - 1

test('README.md has the metrics as they are defined', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const rows = metrics.map(({ name, formula, unit, whenNothing, range: [least, most] }) => {
    const range =
      most >= unbounded ? `≥ ${least}` : `${least.toLocaleString('en')} to ${most.toLocaleString('en')}`
    return `| ${[`\`${name}\``, formula, unit, whenNothing, range].join(' | ')} |`
  })
  const [, table] = /\| column \|.*\n\|(?:---\|)+\n((?:\|.*\n)+)/.exec(readme) ?? []
  expect(table?.trim().split('\n')).toEqual(rows)
})
