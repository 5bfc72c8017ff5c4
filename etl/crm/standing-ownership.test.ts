import { expect, test } from 'vitest'
import type { Ownership } from './ownership.ts'
import { compareOwnership } from './standing-ownership.ts'

const now: Ownership = {
  prosthesisId: 'p1',
  userId: 'u1',
  chipId: 'c1',
  modelId: 1,
  issuedDay: 20_000,
  returnedDay: null,
  timeZone: 'Europe/Vienna',
}
const settled = { isSettled: true, isGone: false }

test('what is as the last run saw it is no change', () => {
  const { changed, gone, chipIds } = compareOwnership([now], [{ ...now, ...settled }])
  expect([changed, gone, [...chipIds]]).toEqual([[], [], []])
})

test.each<Partial<Ownership>>([
  { userId: 'u2' },
  { chipId: 'c2' },
  { modelId: 2 },
  { issuedDay: 20_001 },
  { returnedDay: 20_010 },
  { timeZone: 'UTC' },
])('when the last run saw %o, all days of the chips concerned are in question', (before) => {
  const { changed, chipIds, userIds } = compareOwnership([now], [{ ...now, ...before, ...settled }])
  expect(changed).toEqual([now])
  expect(chipIds).toEqual(new Set(['c1', before.chipId ?? 'c1']))
  expect(userIds).toEqual(new Set(['u1', before.userId ?? 'u1']))
})

test('one that the CRM has no longer is gone, and so is what a run that failed has measured by', () => {
  const { gone, prosthesisIds } = compareOwnership([], [{ ...now, ...settled }])
  expect(gone).toMatchObject([now])
  expect(prosthesisIds).toEqual(new Set(['p1']))
  const unsettled = { ...now, userId: 'u2', isSettled: false, isGone: false }
  const { changed, userIds } = compareOwnership([now], [{ ...now, ...settled }, unsettled])
  expect(changed).toEqual([now])
  expect(userIds).toEqual(new Set(['u1', 'u2']))
})
