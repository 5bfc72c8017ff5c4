import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { customerQuery } from '../../customer-data/customer-query.ts'
import { startTestWarehouse, type TestWarehouse } from '../../fixtures/test-warehouse.fixture.ts'
import { changesOf } from './changes-of.ts'
import { report } from './report.ts'

const ada = 'a0000000-0000-4000-8000-000000000001'
const grace = 'a0000000-0000-4000-8000-000000000002'
const first = 'b0000000-0000-4000-8000-000000000001'
const second = 'b0000000-0000-4000-8000-000000000002'

let tested: TestWarehouse
const read: TestWarehouse['warehouse']['query'] = (query, params) => tested.warehouse.query(query, params)
async function compute(user_id: string, date: string) {
  const [found] = await read(customerQuery, { user_id })
  const customer = { ...found!, full_name: 'Whoever' }
  return report.compute(read, { user_id, customer, date, chosen: {} })
}

let version = 0
/** A change as a feed logs it: the row after it as Debezium writes it unwrapped, or the key alone when it is gone. */
function logged(op: string, at: string, row: Record<string, unknown> & { id: string }) {
  version += 1
  return {
    table: 'public.prostheses',
    key: `{"id":"${row.id}"}`,
    version: String((BigInt(version) << 64n) + 2n),
    op,
    deleted: op === 'd' ? 1 : 0,
    // Debezium's own fields stand beside the columns, numbers beyond 64 bits among them.
    row: JSON.stringify({ ...row, __op: op, __deleted: String(op === 'd') }).replace(
      '"__op"',
      '"__version":340282366920938463463374607431768211455,"__op"',
    ),
    committed_at: at,
  }
}

const prosthesis = (id: string, owner: string, rest: Record<string, unknown> = {}) => ({
  id,
  serial_number: id === first ? 'TN-0001' : 'TN-0002',
  chip_id: 'c1',
  customer_id: owner,
  model_id: 1,
  side: 'left',
  firmware_version: '3.1.0',
  settings: '{"grip": 4, "mode": "walk"}',
  issued_at: '2026-01-02',
  returned_at: null,
  ...rest,
})

beforeAll(async () => {
  tested = await startTestWarehouse()
  const { warehouse } = tested
  await warehouse.insertRows('crm.prosthesis_models', [{ id: 2, name: 'Stride 2', _version: '1' }])
  const events = [
    logged('r', '2026-01-02T10:00:00Z', prosthesis(first, ada)),
    logged('c', '2026-01-03T10:00:00Z', prosthesis(second, ada)),
    logged('u', '2026-02-01T09:30:00.123456Z', prosthesis(first, ada, { firmware_version: '3.2.0' })),
    // Read again by a later snapshot, with the settings out of line and dates as Debezium's ISO strings: nothing changed.
    logged('r', '2026-02-02T10:00:00Z', {
      ...prosthesis(first, ada, { firmware_version: '3.2.0', issued_at: '2026-01-02Z' }),
      settings: '__debezium_unavailable_value',
    }),
    logged(
      'u',
      '2026-02-03T10:00:00Z',
      prosthesis(first, ada, {
        firmware_version: '3.2.0',
        settings: { grip: 5, mode: 'walk', tremor_filter: true },
        model_id: 2,
      }),
    ),
    // Entered for the wrong customer: from here on it is another's, who changes its side.
    logged('u', '2026-02-04T10:00:00Z', prosthesis(second, grace)),
    logged('u', '2026-02-05T10:00:00Z', prosthesis(second, grace, { side: 'right' })),
    logged(
      'u',
      '2026-03-14T23:59:59.999999Z',
      prosthesis(first, ada, {
        firmware_version: '3.2.0',
        settings: { grip: 5, mode: 'walk', tremor_filter: true },
        model_id: 2,
        returned_at: '2026-03-14',
      }),
    ),
    logged('d', '2026-03-15T00:00:00Z', { id: first }),
  ]
  // Delivered twice, which changes nothing.
  await warehouse.insertRows('cdc.events', events)
  await warehouse.insertRows('cdc.events', events.slice(2))
  await warehouse.insertRows('crm.prostheses', [
    { ...prosthesis(first, ada, { model_id: 2, firmware_version: '3.2.0', settings: '' }), _version: '1' },
    { ...prosthesis(second, ada, { settings: '' }), _version: '1' },
  ])
  await warehouse.insertRows('crm.prostheses', [
    { ...prosthesis(second, grace, { side: 'right', settings: '' }), _version: '2' },
  ])
})
afterAll(() => tested?.remove())

test('what changed up to a day, newest first, as it was checked by hand', async () => {
  const golden = JSON.parse(await readFile(new URL('golden.json', import.meta.url), 'utf8'))
  expect(await compute(ada, '2026-03-14')).toEqual(golden)
})

test('the day after, the prosthesis is gone; its history stays', async () => {
  const { rows } = (await compute(ada, '2026-03-15'))!
  expect(rows).toHaveLength(9)
  expect(rows[0]).toMatchObject({
    change: 'removed',
    serial_number: 'TN-0001',
    changed_at: '2026-03-15T00:00:00.000000Z',
  })
})

test('whose prostheses they are or were, the one issued last first, given back ones included', async () => {
  const owner = 'a0000000-0000-4000-8000-00000000000a'
  const [early, returned, late] = ['b', 'c', 'd'].map((n) => `b0000000-0000-4000-8000-00000000000${n}`)
  const device = (id: string | undefined, serial_number: string, rest: Record<string, unknown>) => ({
    ...prosthesis(id!, owner, { serial_number, settings: '', ...rest }),
    _version: '1',
  })
  await tested.warehouse.insertRows('crm.prostheses', [
    device(early, 'TN-0011', { issued_at: '2025-01-01' }),
    device(late, 'TN-0012', { issued_at: '2026-03-14' }),
    device(returned, 'TN-0010', { issued_at: '2025-01-01', returned_at: '2025-06-01' }),
  ])
  const shown = async (date: string) =>
    (await compute(owner, date)).data.prostheses.map(({ serial_number, returned_at }) => [
      serial_number,
      returned_at,
    ])
  const upToTheThirteenth = [
    ['TN-0010', '2025-06-01'],
    ['TN-0011', null],
  ]
  expect(await shown('2026-03-14')).toEqual([['TN-0012', null], ...upToTheThirteenth])
  expect(await shown('2026-03-13')).toEqual(upToTheThirteenth)
})

test('nobody sees what happened while it was not theirs', async () => {
  const { rows } = (await compute(grace, '2026-03-14'))!
  expect(rows.map(({ change, field, before, after }) => [change, field, before, after])).toEqual([
    ['changed', 'side', 'left', 'right'],
    ['recorded', null, null, null],
  ])
})

test('the former customer keeps the history when a merge has dropped their row', async () => {
  const before = await compute(ada, '2026-03-15')
  expect(before?.rows).toContainEqual(
    expect.objectContaining({ change: 'removed', serial_number: 'TN-0002' }),
  )
  await tested.warehouse.command('OPTIMIZE TABLE crm.prostheses FINAL')
  expect(await compute(ada, '2026-03-15')).toEqual(before)
})

test('a model is told by its name of the time, and its new name to those who have it then', async () => {
  const [owner, former, returner, lateOwner] = ['5', '6', '7', '9'].map(
    (n) => `a0000000-0000-4000-8000-00000000000${n}`,
  )
  const [renamed, moved, returned, late] = ['6', '7', '8', 'a'].map(
    (n) => `b0000000-0000-4000-8000-00000000000${n}`,
  )
  const at = (n: number) => `2026-03-0${n}T10:00:00Z`
  const model = (op: string, time: string, id: number, name: string) => ({
    ...logged(op, time, { id: '', name }),
    table: 'public.prosthesis_models',
    key: `{"id":${id}}`,
  })
  await tested.warehouse.insertRows('crm.prosthesis_models', [
    { id: 7, name: 'Wade 3', _version: '1' },
    { id: 8, name: 'Wade 4', _version: '1', _deleted: 1 },
  ])
  await tested.warehouse.insertRows('cdc.events', [
    model('r', at(1), 7, 'Wade "1"'),
    logged('c', at(2), prosthesis(renamed!, owner!, { model_id: 7 })),
    logged('c', at(2), prosthesis(moved!, former!, { model_id: 7 })),
    logged('c', at(2), prosthesis(returned!, returner!, { model_id: 7, returned_at: '2026-03-03' })),
    logged('u', at(3), prosthesis(moved!, owner!, { model_id: 7 })),
    model('u', at(4), 7, 'Wade 2'),
    // Of this model the log knows nothing of before: a later snapshot read it.
    logged('c', at(4), prosthesis(late!, lateOwner!, { model_id: 9 })),
    model('r', at(5), 9, 'Dune 1'),
    model('u', at(6), 9, 'Dune 2'),
    // Of another column of the model: nothing of a prosthesis.
    model('u', at(5), 7, 'Wade 2'),
    model('c', at(5), 8, 'Wade 4'),
    logged('u', at(6), prosthesis(renamed!, owner!, { model_id: 8 })),
    logged('u', at(7), prosthesis(renamed!, owner!, { model_id: 7 })),
    { ...model('d', at(8), 8, ''), row: '{"id":8}' },
    model('u', at(8), 7, 'Wade 3'),
  ])
  const told = async (user: string, date: string) =>
    (await compute(user, date))!.rows
      .filter(({ change }) => change === 'changed')
      .map(({ prosthesis_id, field, before, after }) => [prosthesis_id, field, before, after])
  const upToTheSeventh = [
    [renamed, 'model', 'Wade 4', 'Wade 2'],
    [renamed, 'model', 'Wade 2', 'Wade 4'],
    [moved, 'model_name', 'Wade "1"', 'Wade 2'],
    [renamed, 'model_name', 'Wade "1"', 'Wade 2'],
  ]
  expect(await told(owner!, '2026-03-07')).toEqual(upToTheSeventh)
  expect(await told(owner!, '2026-03-08')).toEqual([
    [moved, 'model_name', 'Wade 2', 'Wade 3'],
    [renamed, 'model_name', 'Wade 2', 'Wade 3'],
    ...upToTheSeventh,
  ])
  // Neither who had it before, nor who has given theirs back: it is not their prosthesis that is called otherwise.
  expect(await told(former!, '2026-03-08')).toEqual([])
  expect(await report.days(read, { user_id: former! })).toEqual({ from: '2026-03-02', to: '2026-03-03' })
  expect(await told(returner!, '2026-03-08')).toEqual([])
  expect(await told(lateOwner!, '2026-03-08')).toEqual([[late, 'model_name', 'Dune 1', 'Dune 2']])
})

test('after it was given back, only the dates of that concern who had it', async () => {
  const owner = 'a0000000-0000-4000-8000-000000000008'
  const id = 'b0000000-0000-4000-8000-000000000009'
  await tested.warehouse.insertRows('cdc.events', [
    logged('c', '2026-03-01T10:00:00Z', prosthesis(id, owner)),
    // On the day before, which is still theirs.
    logged('u', '2026-03-04T10:00:00Z', prosthesis(id, owner, { returned_at: '2026-03-05' })),
    logged('u', '2026-03-04T11:00:00Z', prosthesis(id, owner, { returned_at: '2026-03-05', settings: '{}' })),
    // In the workshop, for whoever comes next.
    logged('u', '2026-03-06T10:00:00Z', prosthesis(id, owner, { returned_at: '2026-03-05', side: 'right' })),
    logged('u', '2026-03-07T10:00:00Z', prosthesis(id, owner, { returned_at: '2026-03-06', chip_id: 'c2' })),
  ])
  const { rows } = (await compute(owner, '2026-03-14'))!
  expect(rows.map(({ field, before, after }) => [field, before, after])).toEqual([
    ['returned_at', '2026-03-05', '2026-03-06'],
    ['settings.mode', 'walk', null],
    ['settings.grip', '4', null],
    ['returned_at', null, '2026-03-05'],
    [null, null, null],
  ])
})

test('what the log begins with is recorded only if it says so itself', async () => {
  const owner = 'a0000000-0000-4000-8000-000000000003'
  const [kept, read] = ['b0000000-0000-4000-8000-000000000003', 'b0000000-0000-4000-8000-000000000004']
  await tested.warehouse.insertRows('cdc.events', [
    // The rest of its log has expired.
    logged('u', '2026-03-01T10:00:00Z', prosthesis(kept, owner)),
    logged('u', '2026-03-02T10:00:00Z', prosthesis(kept, owner, { side: 'right' })),
  ])
  const cut = (await compute(owner, '2026-03-14'))!
  expect(cut.data.is_cut).toBe(true)
  expect(cut.rows.map(({ change, field }) => [change, field])).toEqual([['changed', 'side']])

  await tested.warehouse.insertRows('cdc.events', [
    logged('r', '2026-03-03T10:00:00Z', prosthesis(read, owner)),
  ])
  const { rows } = (await compute(owner, '2026-03-14'))!
  expect(rows[0]).toMatchObject({ change: 'recorded', prosthesis_id: read })
})

test('the log is not read whole for it', async () => {
  const changes = await readFile(new URL('changes.sql', import.meta.url), 'utf8')
  const explained = {
    name: 'explain',
    sql: `EXPLAIN indexes = 1 ${/SELECT key\n.*\{user_id:UUID\}\)/s.exec(changes)![0]}`,
    params: z.object({ user_id: z.guid() }),
    row: z.object({ explain: z.string() }),
  }
  const plan = await read(explained, { user_id: ada })
  expect(plan.map(({ explain }) => explain.trim())).toContain('Name: customer')
})

test('a snapshot is no beginning where more came before', () => {
  const event = { ...logged('r', '2026-03-01T10:00:00Z', prosthesis(first, ada)), day: '2026-03-01' }
  const options = { userId: ada, namings: [], lastDay: '2026-03-14', modelNames: new Map() }
  expect(changesOf([event], { ...options, isCut: true })).toMatchObject({ rows: [], isCut: true })
  const whole = changesOf([event], { ...options, isCut: false })
  expect(whole).toMatchObject({ rows: [{ change: 'recorded' }], isCut: false })
})

test('a day ends where the customer lives, and where that is no zone by that of the ETL job', async () => {
  const owner = 'a0000000-0000-4000-8000-000000000004'
  const id = 'b0000000-0000-4000-8000-000000000005'
  await tested.warehouse.insertRows('cdc.events', [
    logged('c', '2026-03-13T23:30:00Z', prosthesis(id, owner)),
    logged('u', '2026-03-14T22:59:59.999999Z', prosthesis(id, owner, { side: 'right' })),
    logged('u', '2026-03-14T23:00:00Z', prosthesis(id, owner, { side: 'left' })),
  ])
  const inZone = async (time_zone: string, _version: string) => {
    await tested.warehouse.insertRows('crm.customers', [{ id: owner, time_zone, _version }])
    const { rows } = (await compute(owner, '2026-03-14'))!
    return [rows.length, await report.days(read, { user_id: owner })]
  }
  expect(await inZone('Europe/Vienna', '1')).toEqual([2, { from: '2026-03-14', to: '2026-03-15' }])
  expect(await inZone('Europe/Nowhere', '2')).toEqual([3, { from: '2026-03-13', to: '2026-03-14' }])
  await tested.warehouse.insertRows('reports.etl_runs', [
    { run_seq: '1', state: 'succeeded', default_time_zone: 'Europe/Vienna', _version: '3' },
  ])
  expect(await inZone('Europe/Nowhere', '3')).toEqual([2, { from: '2026-03-14', to: '2026-03-15' }])
})

test('the days for which there is something to tell', async () => {
  expect(await report.days(read, { user_id: ada })).toEqual({ from: '2026-01-02', to: '2026-03-15' })
  expect(await report.days(read, { user_id: first })).toBeUndefined()
})
