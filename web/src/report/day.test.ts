import { afterAll, expect, test, vi } from 'vitest'

// Before the formats are made, which others may have had made: a reader for whom the UTC day begins the evening before.
vi.stubEnv('TZ', 'America/Los_Angeles')
vi.resetModules()
const { addDays, dayAt, daysUntil, isDay, isOutside, isOver, longDay, neighbours } = await import('./day.ts')
afterAll(() => {
  vi.unstubAllEnvs()
  vi.resetModules()
})

const bounds = { from: '2026-08-24', to: '2026-11-21' }

test('a day is a day of the calendar in the one form that addresses have', () => {
  expect(['2026-11-21', '2028-02-29'].every(isDay)).toBe(true)
  const others = ['', '2026-02-30', '2026-13-01', '2026-1-1', '21.11.2026', '2026-11-21T00:00', ' 2026-11-21']
  expect(others.filter(isDay)).toEqual([])
})

test('days are counted over the ends of months, years and the change of summer time', () => {
  expect(addDays('2026-12-31', 1)).toBe('2027-01-01')
  expect(addDays('2028-03-01', -1)).toBe('2028-02-29')
  expect(daysUntil('2026-10-26', 3)).toEqual(['2026-10-24', '2026-10-25', '2026-10-26'])
})

test('the buttons for the day before and after end where the data ends', () => {
  expect(neighbours('2026-11-20', bounds)).toEqual({ previous: '2026-11-19', next: '2026-11-21' })
  expect(neighbours('2026-11-21', bounds)).toEqual({ previous: '2026-11-20', next: null })
  expect(neighbours('2026-08-24', bounds)).toEqual({ previous: null, next: '2026-08-25' })
})

test('from a day outside the data they lead to its nearest end', () => {
  expect(neighbours('2027-03-01', bounds)).toEqual({ previous: '2026-11-21', next: null })
  expect(neighbours('2020-01-01', bounds)).toEqual({ previous: null, next: '2026-08-24' })
  expect(isOutside('2026-11-22', bounds)).toBe(true)
  expect(isOutside('2026-11-21', bounds)).toBe(false)
})

test('without known bounds every day can be asked for', () => {
  const unknown = { from: null, to: null }
  expect(neighbours('2026-11-21', unknown)).toEqual({ previous: '2026-11-20', next: '2026-11-22' })
  expect(isOutside('1970-01-01', unknown)).toBe(false)
})

test('a day is named the same wherever the reader is', () => {
  expect(longDay('2026-11-21')).toContain('21 November 2026')
})

test('a day is over when the device data were read after its end, by the clock of the patient', () => {
  const over = (etl_at: string | null, timeZone: string) => isOver('2026-11-21', { etl_at }, timeZone)
  expect(over('2026-11-21T22:59:59Z', 'Europe/Vienna')).toBe(false)
  expect(over('2026-11-21T23:00:00Z', 'Europe/Vienna')).toBe(true)
  expect(over('2026-11-21T10:00:00Z', 'Pacific/Auckland')).toBe(false)
  expect(over('2026-11-21T11:00:00Z', 'Pacific/Auckland')).toBe(true)
  expect(over('2026-11-22T07:59:59Z', 'America/Los_Angeles')).toBe(false)
  expect([over('2026-11-21T23:59:59Z', 'Mars'), over('2026-11-22T00:00:00Z', 'Mars')]).toEqual([false, true])
  expect(over(null, 'Europe/Vienna')).toBe(false)
})

test("today is the reader's", () => {
  expect(dayAt(Date.parse('2026-11-22T07:59:59Z'), undefined)).toBe('2026-11-21')
})
