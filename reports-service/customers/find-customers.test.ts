import { customerList } from '@tendon/contracts/reports-api.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  startTestInstances,
  type TestInstance,
  type TestInstances,
} from '../fixtures/test-instances.fixture.ts'

const customer = (n: number, full_name: string, email: string) => ({
  id: `a0000000-0000-4000-8000-00000000000${n}`,
  full_name,
  email,
  _version: '1',
})
const zoe = customer(1, 'Zoë Ångström', 'z.angstrom@example.org')
const otto = customer(2, "Otto O'Neill 100%", 'otto@example.org')
const gone = customer(3, 'Zoë Gone', 'gone@example.org')

let shared: TestInstances
let service: TestInstance
let staff: string

beforeAll(async () => {
  shared = await startTestInstances()
  service = await shared.instance()
  staff = await shared.identity.admin()
  await shared.warehouse.insertRows('crm.customers', [zoe, otto, gone])
  await shared.warehouse.insertRows('crm.customers', [{ ...gone, _version: '2', _deleted: 1 }])
  const prosthesis = { customer_id: otto.id, model_id: 1, issued_at: '2026-01-01', _version: '1' }
  await shared.warehouse.insertRows('crm.prostheses', [
    { ...prosthesis, id: otto.id, chip_id: 'CHIP-7', serial_number: 'TN-0007', returned_at: '2026-02-01' },
  ])
})
afterAll(() => shared?.close())

const ask = (text: string, authorization = staff) =>
  service.get(`/customers?${new URLSearchParams({ query: text })}`, authorization)
const namesFor = async (text: string) => {
  const answer = await ask(text)
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
  return customerList.parse(await answer.json()).customers.map(({ full_name }) => full_name)
}

test('staff find customers by what they are told on the telephone', async () => {
  for (const text of ['zoë', ' ÅNGSTRÖM ', 'angstrom@', zoe.id.toUpperCase()]) {
    expect(await namesFor(text), text).toEqual([zoe.full_name])
  }
  for (const text of ["o'neill", '100%', 'chip-7', 'tn-0007']) {
    expect(await namesFor(text), text).toEqual([otto.full_name])
  }
  expect(await namesFor('EXAMPLE.org')).toEqual([otto.full_name, zoe.full_name])
})

test('text is text: neither a pattern nor SQL', async () => {
  for (const text of ['%%', '__', "' OR 1=1 --", "\\'", '{text:String}', 'CHIP', 'TN-000']) {
    expect(await namesFor(text), text).toEqual([])
  }
})

test('of many the first are told, and that there are more', async () => {
  const many = Array.from({ length: 21 }, (_, n) => ({
    ...customer(0, `Many ${String(n).padStart(2, '0')}`, `many${n}@example.org`),
    id: `c0000000-0000-4000-8000-0000000000${String(n).padStart(2, '0')}`,
  }))
  await shared.warehouse.insertRows('crm.customers', many)
  const found = customerList.parse(await (await ask('many')).json())
  expect([found.customers.length, found.customers[0]?.full_name, found.is_cut]).toEqual([20, 'Many 00', true])
})

test('nobody else looks for customers, not even for themselves', async () => {
  const patient = await shared.identity.bearer({ customer_id: zoe.id, roles: ['patient'] })
  for (const authorization of [patient, await shared.identity.invalidator()]) {
    const answer = await ask('zoë', authorization)
    expect([answer.status, (await answer.json()).code]).toEqual([403, 'TENDON-REPORTS-006'])
  }
  expect((await service.get('/customers?query=zo')).status).toBe(401)
})

test('a question that is too short, too long, absent or put twice is refused', async () => {
  const queries = [
    '',
    'query=',
    'query=z',
    `query=${'z'.repeat(101)}`,
    'query=zoe&query=otto',
    'query=zoe&limit=5',
  ]
  for (const query of queries) {
    const answer = await service.get(`/customers?${query}`, staff)
    expect([query, answer.status, (await answer.json()).code]).toEqual([query, 400, 'TENDON-REPORTS-009'])
  }
})
