import { readFile } from 'node:fs/promises'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { readCustomer } from '../../customer-data/customer-query.ts'
import { customerDay } from '../../declarations/report.ts'
import { startTestWarehouse, type TestWarehouse } from '../../fixtures/test-warehouse.fixture.ts'
import { report } from './report.ts'

const ada = 'a0000000-0000-4000-8000-000000000001'
const grace = 'a0000000-0000-4000-8000-000000000002'
const gone = 'a0000000-0000-4000-8000-000000000003'
const prosthesis = (n: number) => `b0000000-0000-4000-8000-00000000000${n}`

let tested: TestWarehouse
const read: TestWarehouse['warehouse']['query'] = (query, params) => tested.warehouse.query(query, params)
async function compute(user_id: string, date: string) {
  const customer = await readCustomer(read, user_id)
  return customer && report.compute(read, { user_id, customer, date, chosen: {} })
}

beforeAll(async () => {
  tested = await startTestWarehouse()
  const { warehouse } = tested
  await warehouse.insertRows('crm.customers', [
    { id: ada, full_name: 'Ada King', _version: '1' },
    { id: grace, full_name: 'Grace Hopper 小林', _version: '1' },
    { id: gone, full_name: 'Was Here', _version: '1' },
  ])
  await warehouse.insertRows('crm.customers', [
    {
      id: ada,
      full_name: 'Ada Lovelace',
      time_zone: 'Europe/London',
      _version: '340282366920938463463374607431768211455',
    },
    { id: gone, full_name: '', _version: '2', _deleted: 1 },
  ])
  await warehouse.insertRows('crm.prosthesis_models', [{ id: 2, name: 'Stride 2', _version: '1' }])
  const device = (n: number, owner: string, rest: Record<string, unknown>) => ({
    id: prosthesis(n),
    serial_number: `TN-000${n}`,
    customer_id: owner,
    model_id: 1,
    side: 'left',
    firmware_version: '3.1.0',
    _version: '1',
    ...rest,
  })
  await warehouse.insertRows('crm.prostheses', [
    device(1, ada, { issued_at: '2025-06-01' }),
    // Given back on the 15th: the 14th is its last day with her, and Grace's first is the 15th.
    device(2, ada, { issued_at: '2026-01-01', returned_at: '2026-03-15', side: 'right', model_id: 2 }),
    device(3, grace, { serial_number: 'TN-0002', issued_at: '2026-03-15', side: 'right', model_id: 2 }),
    // Entered for Ada by mistake, corrected to Grace; and one that was deleted.
    device(4, ada, { issued_at: '2026-01-01' }),
    device(5, ada, { issued_at: '2026-01-01' }),
  ])
  await warehouse.insertRows('crm.prostheses', [
    device(1, ada, { issued_at: '2025-06-01', firmware_version: '3.2.0', _version: '2' }),
    device(4, grace, { issued_at: '2026-01-01', _version: '2' }),
    device(5, ada, { issued_at: '2026-01-01', _version: '2', _deleted: 1 }),
  ])
  const day = (owner: string, n: number, date: string, rest: Record<string, unknown> = {}) => ({
    user_id: owner,
    prosthesis_id: prosthesis(n),
    day: date,
    events: 200,
    errors: 3,
    error_rate: 0.015,
    response_time_avg_ms: 41.25,
    response_time_p95_ms: 80.5,
    battery_min_percent: 17,
    battery_avg_percent: 63.5,
    active_minutes: 301.5,
    movements: '4123',
    _version: '1',
    ...rest,
  })
  await warehouse.insertRows('reports.user_prosthesis_stats', [
    // The first of the 30 days, and the one before it.
    day(ada, 1, '2026-02-13', { events: 29 }),
    day(ada, 1, '2026-02-12', { events: 30 }),
    day(ada, 1, '2026-03-13', { events: 1 }),
    day(ada, 1, '2026-03-14'),
    day(ada, 1, '2026-03-15', { events: 15 }),
    day(ada, 2, '2026-03-14', {
      response_time_avg_ms: null,
      response_time_p95_ms: null,
      battery_min_percent: null,
      battery_avg_percent: null,
      movements: '0',
    }),
    day(grace, 3, '2026-03-15'),
    day(ada, 1, '2026-03-12'),
  ])
  await warehouse.insertRows('reports.user_prosthesis_stats', [
    day(ada, 1, '2026-03-13', { events: 150, _version: '2' }),
    day(ada, 1, '2026-03-12', { _version: '2', _deleted: 1 }),
  ])
})
afterAll(() => tested?.remove())

test('one day of one customer, as it was checked by hand', async () => {
  const golden = JSON.parse(await readFile(new URL('golden.json', import.meta.url), 'utf8'))
  expect(await compute(ada, '2026-03-14')).toEqual(golden)
})

test('a prosthesis belongs to its new owner from the day it was passed on', async () => {
  const serials = async (user: string, date: string) =>
    (await compute(user, date))?.data.prostheses.map((had) => had.serial_number)
  expect(await serials(ada, '2026-03-15')).toEqual(['TN-0001'])
  expect(await serials(grace, '2026-03-14')).toEqual(['TN-0004'])
  expect(await serials(grace, '2026-03-15')).toEqual(['TN-0002', 'TN-0004'])
  expect(await serials(ada, '2025-05-31')).toEqual([])
  expect(await serials(ada, '1970-01-01')).toEqual([])
})

test('a prosthesis that sent nothing that day is there without numbers', async () => {
  expect(await compute(ada, '2026-03-12')).toMatchObject({
    data: { prostheses: [{ serial_number: 'TN-0001' }, { serial_number: 'TN-0002' }] },
    rows: [
      { prosthesis_id: prosthesis(1), day: '2026-02-12' },
      { prosthesis_id: prosthesis(1), day: '2026-02-13' },
    ],
  })
})

test('a customer who was deleted, or never was, has no report', async () => {
  expect(await compute(gone, '2026-03-14')).toBeUndefined()
  expect(await compute(prosthesis(9), '2026-03-14')).toBeUndefined()
})

test("the zone of the days is the customer's, and where the CRM has none the one that the last run used", async () => {
  const mover = 'a0000000-0000-4000-8000-000000000004'
  let version = 0
  const zoneOfDays = async (time_zone: string) => {
    version += 1
    await tested.warehouse.insertRows('crm.customers', [{ id: mover, time_zone, _version: String(version) }])
    return (await compute(mover, '2026-03-14'))?.data.customer.time_zone
  }
  expect(await zoneOfDays('Europe/Nowhere')).toBe('UTC')
  const run = { state: 'succeeded', kind: 'run', _version: '3' }
  await tested.warehouse.insertRows('reports.etl_runs', [
    { ...run, run_seq: '1', default_time_zone: 'America/New_York' },
    { ...run, run_seq: '2', default_time_zone: 'Asia/Tokyo' },
    { ...run, run_seq: '3', default_time_zone: 'Europe/Paris', state: 'failed' },
    { ...run, run_seq: '4', default_time_zone: 'Europe/Rome', kind: 'backfill' },
  ])
  expect(await zoneOfDays('Europe/Nowhere')).toBe('Asia/Tokyo')
  expect(await zoneOfDays('')).toBe('Asia/Tokyo')
  expect(await zoneOfDays('europe/vienna')).toBe('Europe/Vienna')
})

test('the days with data', async () => {
  expect(await report.days(read, { user_id: ada })).toEqual({ from: '2026-02-12', to: '2026-03-15' })
  expect(await report.days(read, { user_id: gone })).toBeUndefined()
})

test('the primary keys select what is read', async () => {
  await tested.warehouse.command(`
    INSERT INTO reports.user_prosthesis_stats (user_id, prosthesis_id, day, _version)
    SELECT generateUUIDv4(), generateUUIDv4(), today(), 1 FROM numbers(100000)`)
  await tested.warehouse.command(`
    INSERT INTO crm.prostheses (id, customer_id, issued_at, _version)
    SELECT generateUUIDv4(), generateUUIDv4(), today(), 1 FROM numbers(100000)`)
  for (const file of ['statistics.sql', '../../customer-data/prostheses.sql']) {
    const [selected, all] = await granulesRead(file)
    expect(all, file).toBeGreaterThan(10)
    // At most one granule a part that holds rows of the user.
    expect(selected, file).toBeLessThanOrEqual(3)
  }
})

/** Granules that the primary key selects, and all there are, of the first table in the plan. */
async function granulesRead(file: string): Promise<[selected: number, all: number]> {
  const explain = defineQuery({
    name: 'explain',
    sql: `EXPLAIN indexes = 1 ${await readFile(new URL(file, import.meta.url), 'utf8')}`,
    params: customerDay.extend({ given_back: z.boolean() }),
    row: z.object({ explain: z.string() }),
  })
  const plan = await read(explain, { user_id: ada, date: '2026-03-14', given_back: false })
  const [, selected, all] = /Granules: (\d+)\/(\d+)/.exec(plan.map((row) => row.explain).join('\n')) ?? []
  return [Number(selected), Number(all)]
}
