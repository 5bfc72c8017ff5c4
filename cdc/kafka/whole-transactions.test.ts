import { expect, test } from 'vitest'
import { createWholeTransactions } from './whole-transactions.ts'

test('a visible transaction is whole once everything is dealt with that was committed when it was seen', async () => {
  const ends = [500n, 700n]
  const transactions = createWholeTransactions(async () => ends.shift()!)
  // The first began at 90 and was committed after 300, the second after 400.
  await transactions.note((300n << 64n) + 90n)
  await transactions.note((300n << 64n) + 90n)
  await transactions.note((400n << 64n) + 350n)
  expect(transactions.wholeBefore(499n)).toBeUndefined()
  expect(transactions.wholeBefore(699n)).toBe(301n << 64n)
  expect(transactions.wholeBefore(700n)).toBe(401n << 64n)
  expect(transactions.wholeBefore(900n)).toBeUndefined()
})

test('the first transaction after an initial snapshot is none of its rows', async () => {
  const transactions = createWholeTransactions(async () => 300n)
  await transactions.note((200n << 64n) + 1n)
  expect(transactions.wholeBefore(300n)).toBe((200n << 64n) + 2n)
})
