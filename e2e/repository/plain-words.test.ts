import { inPlainWords, plainWords } from '@tendon/contracts/plain-words.ts'
import { expect, test } from 'vitest'
import { allErrors } from './error-page.ts'

const errors = await allErrors()
/** What the parts are called among those who run them. */
const operatorsWords =
  /redis|key-value|store|warehouse|clickhouse|database|token|gateway|upstream|provider|service|session|header|role|client|https?\b|log\b/i

test('every error has plain words, in which no part of the machinery is named', () => {
  for (const { code, definition } of errors) {
    const { title, advice } = inPlainWords({ code, status: definition.status })
    expect(`${title}. ${advice}`, code).not.toMatch(operatorsWords)
  }
})

test('words are kept for no code that there is not', () => {
  const codes = new Set(errors.map(({ code }) => code))
  expect(Object.keys(plainWords).filter((code) => !codes.has(code))).toEqual([])
})
