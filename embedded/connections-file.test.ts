import { parseEnv } from 'node:util'
import { expect, test } from 'vitest'
import { envLine } from './connections-file.ts'

test('a value is read back exactly as it was, whatever stands in it', () => {
  const values = [
    'postgresql://user:p%40ss@127.0.0.1:5432/crm?sslmode=require',
    "it's",
    'say "hi"',
    '`tick`',
    `'single' and "double"`,
    "'single' and `tick`",
    '"double" and `tick`',
    'a#b $HOME back\\nslash\\',
    'two\nlines',
    ' spaces ',
    '',
  ]
  for (const value of values) {
    const lines = `BEFORE='1'\n${envLine('NAME', value)}AFTER='2'\n`
    expect(parseEnv(lines)).toEqual({ BEFORE: '1', NAME: value, AFTER: '2' })
  }
})

test('what the format cannot say is not said wrongly', () => {
  expect(envLine('NAME', `all of '"\``)).toBeUndefined()
})
