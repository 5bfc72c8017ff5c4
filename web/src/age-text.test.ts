import { expect, test } from 'vitest'
import { ageText } from './age-text.ts'

const nowMs = Date.parse('2026-11-21T12:00:00Z')

test.each([
  ['2026-11-21T12:00:00Z', 'just now'],
  ['2026-11-21T11:59:59Z', '1 second ago'],
  ['2026-11-21T11:59:00.001Z', '59 seconds ago'],
  ['2026-11-21T11:59:00Z', '1 minute ago'],
  ['2026-11-21T11:00:01Z', '59 minutes ago'],
  ['2026-11-21T09:30:00Z', '2 hours ago'],
  ['2026-11-19T12:00:01Z', '47 hours ago'],
  ['2026-11-19T12:00:00Z', '2 days ago'],
  ['2025-11-21T12:00:00Z', '365 days ago'],
])('%s is told as %s at noon', (at, text) => {
  expect(ageText(at, nowMs)).toBe(text)
})

test('a service whose clock is ahead of the reader’s made it just now', () => {
  expect(ageText('2026-11-21T12:07:00Z', nowMs)).toBe('just now')
})
