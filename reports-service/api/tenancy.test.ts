import { gunzipSync } from 'node:zlib'
import { reportFormat } from '@tendon/contracts/report-envelope.ts'
import { type ReportLink, reportLink, reportList } from '@tendon/contracts/reports-api.ts'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadDeclaredReports } from '../declarations/load-reports.ts'
import {
  objectName,
  startTestInstances,
  type TestInstance,
  type TestInstances,
} from '../fixtures/test-instances.fixture.ts'
import { subjectOf } from './report-access.ts'

const people = ['alice', 'bob', 'carol'] as const
type Person = (typeof people)[number]

/** All that are declared: one that is added is asked for too. */
const reports = [...(await loadDeclaredReports()).values()]

const theirReports = reports.filter((of) => subjectOf(of) === 'customer').map(({ name }) => name)

let shared: TestInstances
let service: TestInstance
const ids: Record<Person, string> = { alice: '', bob: '', carol: '' }
/** For which there is something in each of their reports. */
const theirDays: Record<Person, { from: string; to: string }> = {
  alice: { from: '2026-01-02', to: '2026-03-10' },
  bob: { from: '2026-02-02', to: '2026-03-11' },
  carol: { from: '2026-03-03', to: '2026-03-12' },
}

beforeAll(async () => {
  shared = await startTestInstances()
  service = await shared.instance()
  for (const person of people) {
    const id = await shared.addCustomer(person)
    ids[person] = id
    const days = Object.values(theirDays[person])
    const prosthesis = { id, customer_id: id, model_id: 1, issued_at: '2026-01-01' }
    await shared.warehouse.insertRows('crm.prostheses', [{ ...prosthesis, _version: '1' }])
    await shared.warehouse.insertRows(
      'reports.user_prosthesis_stats',
      days.map((day) => ({ user_id: id, prosthesis_id: id, day, _version: '1' })),
    )
    await shared.warehouse.insertRows(
      'cdc.events',
      days.map((day, n) => ({
        table: 'public.prostheses',
        key: JSON.stringify({ id }),
        version: String(n + 1),
        op: n === 0 ? 'c' : 'u',
        row: JSON.stringify({ ...prosthesis, side: n === 0 ? 'left' : 'right' }),
        committed_at: `${day}T12:00:00Z`,
      })),
    )
  }
})
afterAll(() => shared?.close())

const person = fc.constantFrom(...people)
/** Some text about somebody, put where it should not count; it is resolved when the request is made. */
const plainClaim = fc.record({ person, spell: fc.constant((id: string) => id) })
const claim = fc.oneof(
  plainClaim,
  fc.record({
    person,
    spell: fc.constantFrom(
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
const days = ['2026-03-10', '2026-03-11', '2026-03-12']
const day = fc.constantFrom(...days)
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
  // What would be right, if it were theirs.
  { weight: 2, arbitrary: plainClaim.map((whose) => [['user_id', whose]]) },
  { weight: 2, arbitrary: fc.constantFrom(...reportFormat.options).map((format) => [['format', format]]) },
  { weight: 1, arbitrary: fc.constantFrom('30', '90', '31').map((days) => [['days', days]]) },
) as fc.Arbitrary<[string, string | Claim][]>
const headerName = fc.constantFrom('x-user-id', 'x-customer-id', 'x-forwarded-user', 'cookie')
const headers = fc.array(fc.tuple(headerName, claim), { maxLength: 2 })

type Claim = { person: Person; spell: (id: string) => string }
const spelled = (part: string | Claim) => (typeof part === 'string' ? part : part.spell(ids[part.person]))

/** An answer about somebody is about them alone, and so is what it leads to. */
function expectTheirs(who: Person, text: string): void {
  const named = people.filter((person) => text.includes(ids[person]))
  expect(named).toEqual([who])
}

/** The object that a link leads to, as text: in Parquet what it is of stands in the metadata. */
async function objectText(link: ReportLink): Promise<string> {
  const object = (await shared.store.get(objectName(link)))!
  const body = object.contentEncoding === 'gzip' ? gunzipSync(object.body) : object.body
  return Buffer.from(body).toString('latin1')
}

test('each customer gets their own report, whichever it is, of whichever day and in whichever format', async () => {
  const names = new Set<string>()
  const asked = people.flatMap((who) =>
    theirReports.flatMap((name) =>
      days.flatMap((date) => reportFormat.options.map((format) => ({ who, name, date, format }))),
    ),
  )
  for (const { who, name, date, format } of asked) {
    const token = await shared.identity.patient(ids[who])
    const link = await shared.link(service, `/reports/${name}/${date}?format=${format}`, token)
    expect(objectName(link)).toMatch(new RegExp(`^reports/${name}/${ids[who]}/${date}/[^/]+\\.${format}$`))
    expectTheirs(who, await objectText(link))
    names.add(objectName(link))
  }
  expect(names.size).toBe(asked.length)
})

test('what is of everybody is for who has the role', async () => {
  const staff = await shared.identity.admin()
  for (const name of reports.filter((of) => subjectOf(of) === 'everybody').map((of) => of.name)) {
    for (const format of reportFormat.options) {
      const address = `/reports/${name}/2026-03-10?format=${format}`
      for (const who of people) {
        const refused = await service.get(address, await shared.identity.patient(ids[who]))
        expect(await refused.json()).toMatchObject({ status: 403, code: 'TENDON-REPORTS-006' })
      }
      expect(objectName(await shared.link(service, address, staff))).toContain(`reports/${name}/everybody/`)
    }
  }
})

test('whatever somebody asks, they get their own report or none', async () => {
  let answered = 0
  const refusals: string[] = []
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
        refusals.push((await answer.json()).code)
        return
      }
      answered += 1
      const body = await answer.json()
      const list = reportList.safeParse(body)
      if (list.success) {
        const listed = list.data.reports.map(({ name, from, to }) => ({ name, from, to }))
        expect(listed).toEqual(theirReports.map((name) => ({ name, ...theirDays[who] })))
        return
      }
      const link = reportLink.parse(body)
      expect(objectName(link).split('/')[2]).toBe(ids[who])
      expectTheirs(who, await objectText(link))
    }),
    { numRuns: 250 },
  )
  expect(answered).toBeGreaterThan(25)
  expect(refusals.filter((code) => code === 'TENDON-REPORTS-004').length).toBeGreaterThan(10)
})

test('staff may name whose report, in capitals too: it is the same one', async () => {
  const staff = await shared.identity.admin()
  for (const who of people) {
    const address = '/reports/prosthesis-daily/2026-03-10?user_id='
    const link = await shared.link(service, address + ids[who], staff)
    expect(await shared.object(link)).toMatchObject({ user_id: ids[who] })
    expect(await shared.link(service, address + ids[who].toUpperCase(), staff)).toMatchObject({
      cache: 'hit',
      url: link.url,
    })
  }
})
