import { expect, test } from 'vitest'
import { createSignInThrottle } from './sign-in-throttle.ts'

test('the fifth failure begins a wait, which doubles up to a minute, for that name alone', () => {
  let nowMs = 0
  const throttle = createSignInThrottle(() => nowMs)
  const waits = Array.from({ length: 12 }, () => {
    nowMs += throttle.waitMs('alice')
    throttle.failed('alice')
    return throttle.waitMs('alice') / 1000
  })
  expect(waits).toEqual([0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60, 60])
  expect(throttle.waitMs('bob')).toBe(0)
  throttle.succeeded('alice')
  expect(throttle.waitMs('alice')).toBe(0)
})

test('it remembers a bounded number of names', () => {
  const throttle = createSignInThrottle(() => 0)
  for (let tries = 0; tries < 5; tries += 1) throttle.failed('alice')
  for (let name = 0; name < 1_000; name += 1) throttle.failed(`name-${name}`)
  expect(throttle.waitMs('alice')).toBe(0)
})
