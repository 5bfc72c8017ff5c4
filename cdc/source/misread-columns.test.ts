import { expect, test } from 'vitest'
import { createNameCheck } from './misread-columns.ts'

const check = createNameCheck({
  columns: ['id', 'a', 'b', 'c'].map((name) => ({ name })),
  omitted: ['secret'],
})

test.each([
  ['as they are', 'id a b c', false],
  ['with one that is left out', 'id secret a b c', false],
  ['before the last were added', 'id a', false],
  ['before one in the middle was dropped', 'id a x b c', false],
  ['before the last was dropped', 'id a b c x', false],
  ['before one was dropped and one added', 'id x a b', false],
  ['one had another name', 'id x b c', true],
  ['the first had another name', 'x a b c', true],
  ['the last had another name, or was dropped before another was added', 'id a b x', true],
  ['two had the names of each other', 'id b a c', true],
  ['one had the name of another, which had another', 'id x a c', true],
])('columns %s: %s', (_what, names, isOfOtherTime) => {
  expect(check(names.split(' '))).toBe(isOfOtherTime)
})
