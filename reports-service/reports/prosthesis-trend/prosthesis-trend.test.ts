import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readCustomer } from '../../customer-data/customer-query.ts'
import { startTestWarehouse, type TestWarehouse } from '../../fixtures/test-warehouse.fixture.ts'
import { report } from './report.ts'

const ada = 'a0000000-0000-4000-8000-000000000001'
const other = 'a0000000-0000-4000-8000-000000000002'
const prosthesis = (n: number) => `b0000000-0000-4000-8000-00000000000${n}`

let tested: TestWarehouse
const read: TestWarehouse['warehouse']['query'] = (query, params) => tested.warehouse.query(query, params)
async function compute(days: '30' | '90', date = '2026-03-14') {
  const customer = (await readCustomer(read, ada))!
  return report.compute(read, { user_id: ada, customer, date, chosen: { days } })
}

beforeAll(async () => {
  tested = await startTestWarehouse()
  const { warehouse } = tested
  // Without a zone of their own: the job's.
  await warehouse.insertRows('crm.customers', [{ id: ada, time_zone: '', _version: '1' }])
  await warehouse.insertRows('reports.etl_runs', [
    { run_seq: '1', state: 'succeeded', default_time_zone: 'Europe/Berlin', _version: '3' },
  ])
  await warehouse.insertRows('crm.prosthesis_models', [{ id: 2, name: 'Stride 2', _version: '1' }])
  const device = (n: number, owner: string, model_id: number) => ({
    id: prosthesis(n),
    serial_number: `TN-000${n}`,
    customer_id: owner,
    model_id,
    side: 'left',
    firmware_version: '3.1.0',
    issued_at: '2025-06-01',
    _version: '1',
  })
  await warehouse.insertRows('crm.prostheses', [
    device(1, ada, 1),
    device(2, ada, 2),
    ...[3, 4, 5].map((n) => device(n, other, 1)),
    // Entered under the wrong model: its numbers of then stand under model 1 still.
    device(6, other, 2),
  ])
  const day = (n: number, date: string, rest: Record<string, unknown> = {}) => ({
    user_id: n <= 2 ? ada : other,
    prosthesis_id: prosthesis(n),
    day: date,
    model_id: n === 2 ? 2 : 1,
    events: 200,
    errors: 2,
    error_rate: 0.01,
    response_time_avg_ms: 40,
    battery_avg_percent: 60,
    active_minutes: 300,
    _version: '1',
    ...rest,
  })
  await warehouse.insertRows('reports.user_prosthesis_stats', [
    day(1, '2025-12-14'),
    // The first of the 90 days, and of the 30.
    day(1, '2025-12-15', { active_minutes: 90 }),
    day(1, '2026-02-13', { active_minutes: 30 }),
    day(1, '2026-03-14'),
    day(3, '2026-03-14', { error_rate: 0.04, response_time_avg_ms: null, active_minutes: 100 }),
    day(4, '2026-03-14', { error_rate: 0.02, response_time_avg_ms: 50, active_minutes: 200 }),
    day(5, '2026-03-14', { error_rate: 0.9, active_minutes: 900 }),
    day(6, '2026-03-14', { error_rate: 0.9, active_minutes: 900 }),
    // Alone of its model that day, and it measured no response time.
    day(2, '2026-03-13', { response_time_avg_ms: null }),
  ])
  await warehouse.insertRows('reports.user_prosthesis_stats', [
    day(5, '2026-03-14', { _version: '2', _deleted: 1 }),
  ])
})
afterAll(() => tested?.remove())

test('thirty days beside the medians of the model, as they were checked by hand', async () => {
  const golden = JSON.parse(await readFile(new URL('golden.json', import.meta.url), 'utf8'))
  expect(await compute('30')).toEqual(golden)
})

test('ninety days', async () => {
  const ninety = await compute('90')
  expect(ninety?.data.from).toBe('2025-12-15')
  expect(ninety?.rows.map((row) => [row.day, row.active_minutes])).toEqual([
    ['2025-12-15', 90],
    ['2026-02-13', 30],
    ['2026-03-14', 300],
    ['2026-03-13', 300],
  ])
})

test('a day with nothing before it is an empty table', async () => {
  expect(await compute('30', '2025-06-01')).toMatchObject({ data: { prostheses: [{}, {}] }, rows: [] })
})
