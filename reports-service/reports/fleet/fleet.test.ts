import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestWarehouse, type TestWarehouse } from '../../fixtures/test-warehouse.fixture.ts'
import { report } from './report.ts'

const owner = 'a0000000-0000-4000-8000-000000000001'
const prosthesis = (n: number) => `b0000000-0000-4000-8000-00000000000${n}`

let tested: TestWarehouse
const read: TestWarehouse['warehouse']['query'] = (query, params) => tested.warehouse.query(query, params)
const compute = (date: string) => report.compute(read, { user_id: null, customer: null, date, chosen: {} })

beforeAll(async () => {
  tested = await startTestWarehouse()
  const { warehouse } = tested
  await warehouse.insertRows('crm.prosthesis_models', [{ id: 2, name: 'Stride 2', _version: '1' }])
  await warehouse.insertRows(
    'crm.prostheses',
    [1, 2, 3, 4].map((n) => ({
      id: prosthesis(n),
      serial_number: `TN-000${n}`,
      customer_id: owner,
      model_id: n === 3 ? 2 : 1,
      firmware_version: '3.2.0',
      issued_at: '2025-06-01',
      _version: '1',
    })),
  )
  const day = (
    n: number,
    date: string,
    events: number,
    errors: number,
    rest: Record<string, unknown> = {},
  ) => ({
    user_id: owner,
    prosthesis_id: prosthesis(n),
    day: date,
    model_id: n === 3 ? 2 : 1,
    firmware_version: '3.1.0',
    events,
    errors,
    error_rate: errors / events,
    _version: '1',
    ...rest,
  })
  await warehouse.insertRows('reports.user_prosthesis_stats', [
    // 2026-03-14 is a Saturday; the twelve weeks begin on 2025-12-22.
    day(1, '2025-12-21', 1_000, 1_000),
    day(1, '2025-12-22', 100, 1),
    // The last seven days begin on the 8th, the last week on the 9th.
    day(1, '2026-03-07', 500, 500),
    day(1, '2026-03-08', 300, 3),
    day(1, '2026-03-09', 200, 2),
    // Updated within the week.
    day(1, '2026-03-12', 100, 5, { firmware_version: '3.2.0' }),
    // Of which the firmware was not known: that of the CRM.
    day(2, '2026-03-14', 100, 20, { firmware_version: '' }),
    day(3, '2026-03-14', 400, 8),
    // Measured while the CRM had it as another model.
    day(3, '2026-03-13', 5_000, 5_000, { model_id: 1 }),
    // So few that a rate says little.
    day(4, '2026-03-13', 10, 10),
    day(4, '2026-03-14', 900, 900),
    day(3, '2026-03-15', 700, 700),
  ])
  await warehouse.insertRows('reports.user_prosthesis_stats', [
    day(4, '2026-03-14', 900, 900, { _version: '2', _deleted: 1 }),
  ])
})
afterAll(() => tested?.remove())

test('twelve weeks by model and firmware, and the worst devices, as they were checked by hand', async () => {
  const golden = JSON.parse(await readFile(new URL('golden.json', import.meta.url), 'utf8'))
  expect(await compute('2026-03-14')).toEqual(golden)
})

test('a day before all data is empty, and the days are those of the data', async () => {
  expect(await compute('2025-06-01')).toEqual({
    data: { from: '2025-03-10', prostheses: 0, events: 0, errors: 0, error_rate: null, worst_devices: [] },
    rows: [],
  })
  expect(await report.days(read, { user_id: null })).toMatchObject({ from: '2025-12-21', to: '2026-03-15' })
})

test('it opens on the last day that was over everywhere when the device data were read', async () => {
  let run = 0
  const latestAfterRunAt = async (started_at: string, rest: Record<string, unknown> = {}) => {
    run += 1
    await tested.warehouse.insertRows('reports.etl_runs', [
      { run_seq: String(run), kind: 'run', state: 'succeeded', started_at, _version: '1', ...rest },
    ])
    return (await report.days(read, { user_id: null }))?.latest
  }
  // Before the first run nothing is known of when.
  expect(await latestAfterRunAt('2026-03-16T12:00:00Z', { state: 'failed' })).toBe('2026-03-15')
  // In Tokyo it is the 15th since 15:00 UTC of the 14th; on Baker Island the 13th ends at 12:00 UTC.
  expect(await latestAfterRunAt('2026-03-14T11:59:59Z')).toBe('2026-03-12')
  expect(await latestAfterRunAt('2026-03-14T16:00:00Z')).toBe('2026-03-13')
  // A backfill reads days of before.
  expect(await latestAfterRunAt('2026-03-15T16:00:00Z', { kind: 'backfill' })).toBe('2026-03-13')
  // No further than there are data.
  expect(await latestAfterRunAt('2026-04-01T12:00:00Z')).toBe('2026-03-15')
  // A fleet whose first day goes on.
  expect(await latestAfterRunAt('2025-12-21T12:00:00Z')).toBe('2026-03-15')
})
