import fc from 'fast-check'
import { expect, test } from 'vitest'
import { dayUs } from './instants.ts'
import { createTimeZones } from './time-zones.ts'

const zoneOf = createTimeZones()
const at = (text: string) => Date.parse(text) * 1000
const day = (text: string) => Date.parse(text) / 86_400_000

test('a day begins with its midnight, or where the clock jumps over that', () => {
  const starts = (zone: string, text: string) =>
    new Date(zoneOf(zone)!.startOf(day(text)) / 1000).toISOString()
  expect(starts('UTC', '2026-03-29')).toBe('2026-03-29T00:00:00.000Z')
  expect(starts('Europe/Vienna', '2026-03-29')).toBe('2026-03-28T23:00:00.000Z')
  expect(starts('Europe/Vienna', '2026-03-30')).toBe('2026-03-29T22:00:00.000Z')
  expect(starts('Asia/Kathmandu', '2026-01-01')).toBe('2025-12-31T18:15:00.000Z')
  // Put forward from 00:00 to 01:00, and back from 01:00 to 00:00: the second time is still the same day.
  expect(starts('Africa/Cairo', '2025-04-25')).toBe('2025-04-24T22:00:00.000Z')
  expect(starts('America/Havana', '2025-11-02')).toBe('2025-11-02T04:00:00.000Z')
  expect(starts('America/Havana', '2025-11-03')).toBe('2025-11-03T05:00:00.000Z')
  // A day that Samoa left out has no instant.
  expect(starts('Pacific/Apia', '2011-12-30')).toBe(starts('Pacific/Apia', '2011-12-31'))
})

test('an unknown zone is undefined', () => {
  expect(zoneOf('Europe/Nowhere')).toBeUndefined()
  expect(zoneOf('')).toBeUndefined()
  // ICU's own.
  expect(zoneOf('JST')).toBeUndefined()
  expect(zoneOf('CET')).toBeDefined()
})

test('every instant is in the day that the calendar of its zone shows', () => {
  const names = Intl.supportedValuesOf('timeZone')
  const formats = new Map(
    names.map((name) => [name, new Intl.DateTimeFormat('sv-SE', { timeZone: name, dateStyle: 'short' })]),
  )
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.integer({ min: Date.parse('2015-01-01'), max: Date.parse('2035-01-01') }),
      (name, ms) => {
        const zone = zoneOf(name)!
        const shown = day(formats.get(name)!.format(ms))
        expect(zone.dayOf(ms * 1000)).toBe(shown)
        expect(ms * 1000).toBeGreaterThanOrEqual(zone.startOf(shown))
        expect(ms * 1000).toBeLessThan(zone.startOf(shown + 1))
      },
    ),
    { numRuns: 3000 },
  )
})

test('at the changes of the clock too', () => {
  const zone = zoneOf('Africa/Cairo')!
  for (let number = day('2023-01-01'); number < day('2027-01-01'); number += 1) {
    expect(zone.dayOf(zone.startOf(number))).toBe(number)
    expect(zone.dayOf(zone.startOf(number) - 1)).toBe(number - 1)
    expect(zone.startOf(number + 1) - zone.startOf(number)).toBeGreaterThan(dayUs * 0.9)
  }
  expect(at('2025-04-24T22:00:00Z')).toBe(zone.startOf(day('2025-04-25')))
})
