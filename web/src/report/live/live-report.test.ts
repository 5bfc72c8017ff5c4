import { expect, test } from 'vitest'
import type { DailyReport } from '../daily/daily-view.ts'
import { nothingYet, objectPath, withFailure, withLink, withReport } from './live-report.ts'

const outage = { type: 'about:blank', title: 'Down', status: 503, code: 'TENDON-REPORTS-007' }

test('only the object’s name tells whether there is something new, not its signature or origin', () => {
  expect(objectPath('https://cdn.example/reports/a/1.json?exp=1&kid=a&sig=x')).toBe('/reports/a/1.json')
})

test('the first report of a day is no change; another one is, unless it says the same', () => {
  const first = withReport(nothingYet, reportOf('Alice', '2026-11-21'), 1)
  expect(first.changedAtMs).toBeNull()
  const same = withReport(first, reportOf('Alice', '2026-11-21'), 2)
  expect(same.changedAtMs).toBeNull()
  const renamed = withReport(same, reportOf('Alicia', '2026-11-21'), 3)
  expect(renamed.changedAtMs).toBe(3)
  expect(withReport(renamed, reportOf('Alicia', '2026-11-20'), 4).changedAtMs).toBeNull()
})

test('the page is as current as the link says, not as the object was when it was made', () => {
  const shown = withReport(nothingYet, reportOf('Alice', '2026-11-21'), 1)
  const freshness = { cdc_position: '7', cdc_at: '2026-11-21T12:20:00Z', etl_run: null, etl_at: null }
  const link = {
    url: 'https://cdn.example/a.json',
    expires_at: '2026-11-21T12:30:00Z',
    generated_at: '2026-11-21T12:00:00Z',
    cache: 'hit' as const,
    freshness,
  }
  expect(withLink(shown, link)).toMatchObject({
    freshness,
    generatedAt: link.generated_at,
    changedAtMs: null,
  })
})

test('an outage leaves the report on the screen, a refusal does not', () => {
  const shown = withReport(nothingYet, reportOf('Alice', '2026-11-21'), 1)
  expect(withFailure(shown, '2026-11-21', outage).report).toBe(shown.report)
  expect(withFailure(shown, '2026-11-21', { ...outage, status: 403 }).report).toBeNull()
  expect(withFailure(shown, '2026-11-21', { ...outage, status: 404 }).report).toBeNull()
})

function reportOf(name: string, date: string): DailyReport {
  return {
    schema_version: 2,
    parameters: {},
    report: 'prosthesis-daily',
    title: 'Your prosthesis, day by day',
    user_id: '0a1b2c3d-0000-4000-8000-000000000001',
    date,
    generated_at: '2026-11-21T12:00:00Z',
    freshness: { cdc_position: null, cdc_at: null, etl_run: null, etl_at: null },
    units: {},
    data: { customer: { full_name: name, time_zone: 'Europe/Vienna' }, prostheses: [] },
  }
}
