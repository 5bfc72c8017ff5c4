import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { quarantineReasons, rowRules } from './row-rules.ts'

test('README.md has each reason for which a row is in quarantine, and the rules as they are', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, table = ''] = /\| reason \|.*\n\|(?:---\|)+\n((?:\|.*\n)+)/.exec(readme) ?? []
  const rows = table.trim().split('\n')
  expect(rows.map((row) => /^\| `(\w+)` \|/.exec(row)?.[1])).toEqual(quarantineReasons)
  expect(rows.slice(0, rowRules.length)).toEqual(
    rowRules.map(({ name, what }) => `| \`${name}\` | ${what} |`),
  )
})
