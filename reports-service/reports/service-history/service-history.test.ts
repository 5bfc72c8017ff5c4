import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestWarehouse, type TestWarehouse } from '../../test-warehouse.fixture.ts'
import { report } from './report.ts'

const ada = 'a0000000-0000-4000-8000-000000000001'
const grace = 'a0000000-0000-4000-8000-000000000002'
const first = 'b0000000-0000-4000-8000-000000000001'
const second = 'b0000000-0000-4000-8000-000000000002'

let tested: TestWarehouse
const read: TestWarehouse['warehouse']['query'] = (query, params) => tested.warehouse.query(query, params)
const compute = (user_id: string, date: string) => report.compute(read, { user_id, date, chosen: {} })

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

test('nobody sees what happened while it was not theirs', async () => {
  const { rows } = (await compute(grace, '2026-03-14'))!
  expect(rows.map(({ change, field, before, after }) => [change, field, before, after])).toEqual([
    ['changed', 'side', 'left', 'right'],
    ['recorded', null, null, null],
  ])
})

test('the days for which there is something to tell', async () => {
  expect(await report.days(read, { user_id: ada })).toEqual({ from: '2026-01-02', to: '2026-03-15' })
  expect(await report.days(read, { user_id: first })).toBeUndefined()
})
