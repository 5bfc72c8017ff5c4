import { reportLink, reportList } from '@tendon/contracts/reports-api.ts'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadReports } from './load-reports.ts'
import { subjectOf } from './report-access.ts'
import {
  objectName,
  startTestInstances,
  type TestInstance,
  type TestInstances,
} from './test-instances.fixture.ts'

type Person = 'alice' | 'bob'

/** All that are declared: one that is added is asked for too. */
const reports = [...(await loadReports(new URL('./reports/', import.meta.url))).values()]

let shared: TestInstances
let service: TestInstance
const ids: Record<Person, string> = { alice: '', bob: '' }
const firstDays: Record<Person, string> = { alice: '2026-01-01', bob: '2026-02-02' }

beforeAll(async () => {
  shared = await startTestInstances()
  service = await shared.instance()
  for (const person of ['alice', 'bob'] as const) {
    const id = await shared.addCustomer(person)
    ids[person] = id
    const day = firstDays[person]
    await shared.warehouse.insertRows('reports.user_prosthesis_stats', [
      { user_id: id, prosthesis_id: id, day, _version: '1' },
    ])
  }
})
afterAll(() => shared?.close())

const person = fc.constantFrom<Person>('alice', 'bob')
/** Some text about somebody, put where it should not count; it is resolved when the request is made. */
const claim = fc.oneof(
  fc.record({
    person,
    spell: fc.constantFrom(
      (id: string) => id,
      (id: string) => id.toUpperCase(),
      (id: string) => id.replaceAll('-', ''),
      (id: string) => ` ${id}`,
      (id: string) => `{${id}}`,
      (id: string) => `../${id}`,
      (id: string) => `' OR user_id = '${id}`,
    ),
  }),
  fc.string().map((text) => ({ person: 'bob' as const, spell: () => text })),
)
const day = fc.constantFrom('2026-03-10', '2026-03-11', '2026-03-12')
const report = fc.constantFrom(...reports.map(({ name }) => name))
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 6, arbitrary: fc.tuple(report, day) },
  { weight: 1, arbitrary: fc.tuple(claim, day).map(([to, date]) => ['prosthesis-daily', to, date]) },
  { weight: 1, arbitrary: claim.map((to) => ['prosthesis-daily', to]) },
  { weight: 1, arbitrary: fc.tuple(claim, day) },
)
const parameterName = fc.constantFrom('user_id', 'userId', 'USER_ID', 'user_id[]', 'customer_id', 'report')
const parameters = fc.oneof(
  { weight: 2, arbitrary: fc.array(fc.tuple(parameterName, claim), { maxLength: 3 }) },
  { weight: 2, arbitrary: fc.constantFrom('json', 'csv', 'parquet').map((format) => [['format', format]]) },
  { weight: 1, arbitrary: fc.constantFrom('30', '90', '31').map((days) => [['days', days]]) },
) as fc.Arbitrary<[string, string | Claim][]>
const headerName = fc.constantFrom('x-user-id', 'x-customer-id', 'x-forwarded-user', 'cookie')
const headers = fc.array(fc.tuple(headerName, claim), { maxLength: 2 })

type Claim = { person: Person; spell: (id: string) => string }
const spelled = (part: string | Claim) => (typeof part === 'string' ? part : part.spell(ids[part.person]))

test('whatever somebody asks, they get their own report or none', async () => {
  let answered = 0
  await fc.assert(
    fc.asyncProperty(person, path, parameters, headers, async (who, parts, asked, sent) => {
      const query = new URLSearchParams(asked.map(([name, value]) => [name, spelled(value)]))
      const address = ['/reports', ...parts.map((part) => encodeURIComponent(spelled(part)))].join('/')
      const answer = await service.app.request(`${address}?${query}`, {
        headers: [
          ['authorization', await shared.identity.patient(ids[who])],
          ...sent.map(([name, value]): [string, string] => [name, encodeURIComponent(spelled(value))]),
        ],
      })
      if (answer.status !== 200) {
        expect([400, 403, 404]).toContain(answer.status)
        return
      }
      answered += 1
      const body = await answer.json()
      const list = reportList.safeParse(body)
      if (list.success) {
        const theirs = reports.filter((report) => subjectOf(report) === 'customer').map(({ name }) => name)
        expect(list.data.reports.map(({ name }) => name)).toEqual(theirs)
        const daily = list.data.reports.find(({ name }) => name === 'prosthesis-daily')
        expect(daily).toMatchObject({ from: firstDays[who] })
        return
      }
      const link = reportLink.parse(body)
      expect(objectName(link).split('/')[2]).toBe(ids[who])
      const json = objectName(link).replace(/\.\w+$/, '.json')
      expect(await shared.stored({ url: `http://cdn.test/cdn/${json}` })).toMatchObject({ user_id: ids[who] })
    }),
    { numRuns: 250 },
  )
  expect(answered).toBeGreaterThan(25)
})

test('staff may name whose report', async () => {
  const staff = await shared.identity.admin()
  for (const who of ['alice', 'bob'] as const) {
    const address = `/reports/prosthesis-daily/2026-03-10?user_id=${ids[who]}`
    expect(await shared.object(await shared.link(service, address, staff))).toMatchObject({
      user_id: ids[who],
    })
  }
})
