import { randomUUID } from 'node:crypto'
import { reportList } from '@tendon/contracts/reports-api.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { verifySignedUrl } from '@tendon/platform/url-signature.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  cdnBaseUrl,
  daily,
  noonMs,
  objectName,
  signingKeys,
  startTestInstances,
  type TestInstance,
  type TestInstances,
  today,
} from './fixtures/test-instances.fixture.ts'

let shared: TestInstances
let service: TestInstance

beforeAll(async () => {
  shared = await startTestInstances()
  service = await shared.instance()
})
afterAll(() => shared?.close())

describe('GET /reports/:report/:date', () => {
  test('computes a report once, then finds it; the same URL for all who ask within a window', async () => {
    const user = await shared.addCustomer('Ada Lovelace')
    const token = await shared.identity.patient(user)
    const selects = () => shared.proxy.count('prosthesis-daily/statistics')
    const before = selects()

    const first = await shared.link(service, daily, token)
    const second = await shared.link(service, daily, token)
    const elsewhere = await shared.link(await shared.instance(), daily, token)

    expect(first).toMatchObject({ cache: 'miss', expires_at: '2026-03-14T12:10:00.000Z' })
    expect(second).toEqual({ ...first, cache: 'hit' })
    expect(elsewhere).toEqual(second)
    expect(selects() - before).toBe(1)

    const url = new URL(first.url)
    expect(url.href).toMatch(`${cdnBaseUrl}/reports/prosthesis-daily/${user}/${today}/`)
    expect(url.pathname.split('/').at(-1)).toMatch(/^[0-9a-z]{29}-[0-9a-f]{10}\.json$/)
    const path = url.pathname.replace(/^\/cdn/, '')
    const query = url.search.slice(1)
    const nowMs = Date.parse('2026-03-14T12:09:59Z')
    expect(verifySignedUrl({ method: 'GET', path, query, keys: signingKeys, nowMs }).valid).toBe(true)

    expect(await shared.object(first)).toMatchObject({
      report: 'prosthesis-daily',
      user_id: user,
      date: today,
      generated_at: first.generated_at,
      freshness: first.freshness,
      parameters: {},
      data: { customer: { full_name: 'Ada Lovelace' }, prostheses: [{ model: 'Grip 3' }] },
      rows: [],
    })
  })

  test('a link that is remembered is not handed out beyond its window', async () => {
    const clock = { ms: noonMs }
    const instance = await shared.instance({ now: () => clock.ms })
    const token = await shared.identity.patient(await shared.addCustomer('Patient'))
    const first = await shared.link(instance, daily, token)
    clock.ms += 5 * 60_000
    const next = await shared.link(instance, daily, token)
    expect(next).toMatchObject({ cache: 'hit', expires_at: '2026-03-14T12:15:00.000Z' })
    expect(objectName(next)).toBe(objectName(first))
    expect(next.url).toContain(`exp=${Date.parse(next.expires_at) / 1000}`)
  })

  test('an object, once written, keeps its bytes; new data gets a new name', async () => {
    const user = await shared.addCustomer('Before')
    const token = await shared.identity.patient(user)
    const before = await shared.link(service, daily, token)
    await shared.putCustomer(user, 'After')
    // Not invalidated yet: the very same object.
    expect(await shared.link(service, daily, token)).toEqual({ ...before, cache: 'hit' })
    await shared.invalidate(service, { user_id: user.toUpperCase() })
    const after = await shared.link(service, daily, token)
    expect(after.cache).toBe('miss')
    expect(after.url).not.toBe(before.url)
    expect(await shared.object(before)).toMatchObject({ data: { customer: { full_name: 'Before' } } })
    expect(await shared.object(after)).toMatchObject({ data: { customer: { full_name: 'After' } } })
  })

  test('an object that the store has lost is computed again, half a minute later at the latest', async () => {
    const token = await shared.identity.patient(await shared.addCustomer('Lost'))
    const clock = { ms: noonMs }
    const instance = await shared.instance({ now: () => clock.ms })
    const link = await shared.link(instance, daily, token)
    await shared.store.delete(objectName(link))
    clock.ms += 30_000
    expect(await shared.link(instance, daily, token)).toMatchObject({ cache: 'miss', url: link.url })
  })

  test('a hit of what was seen a moment ago asks the store nothing', async () => {
    const token = await shared.identity.patient(await shared.addCustomer('Hot'))
    const asked: string[] = []
    const store: ObjectStore = {
      ...shared.store,
      head(name) {
        asked.push(name)
        return shared.store.head(name)
      },
      get(name) {
        asked.push(name)
        return shared.store.get(name)
      },
    }
    const instance = await shared.instance({ store })
    for (const path of [daily, `${daily}?format=csv`]) {
      await shared.link(instance, path, token)
      asked.length = 0
      expect(await shared.link(instance, path, token)).toMatchObject({ cache: 'hit' })
      expect(asked, path).toEqual([])
    }
  })

  test.each([
    ['of another shape', '{"schema_version":0,"report":"prosthesis-daily"}'],
    ['torn', '{"schema_ver'],
  ])('an object %s is left under its name, and the report computed under a new one', async (_, body) => {
    const token = await shared.identity.patient(await shared.addCustomer('Unreadable'))
    const link = await shared.link(service, daily, token)
    await shared.store.put(objectName(link), Buffer.from(body), { contentType: 'application/json' })
    // An instance that has not read the object when it was whole.
    const instance = await shared.instance()
    const links = await Promise.all(Array.from({ length: 5 }, () => shared.link(instance, daily, token)))
    expect(new Set(links.map(({ url }) => url)).size).toBe(1)
    expect(links[0]!.url).not.toBe(link.url)
    expect(await shared.object(links[0]!)).toMatchObject({ data: { customer: { full_name: 'Unreadable' } } })
    expect(Buffer.from((await shared.store.get(objectName(link)))!.body).toString()).toBe(body)
  })

  test('of a change feed that has not read anything yet there is nothing to say', async () => {
    const begun = { feed: 'begun', position: '1', version: '1', committed_at: '1970-01-01T00:00:00Z' }
    await shared.warehouse.insertRows('cdc.positions', [begun])
    const token = await shared.identity.patient(await shared.addCustomer('Early'))
    const { freshness } = await shared.link(service, daily, token)
    expect(freshness).toMatchObject({ cdc_position: null, cdc_at: null })
  })

  test('says how old its data is, as read before the data', async () => {
    const token = await shared.identity.patient(await shared.addCustomer('Fresh'))
    const position = {
      feed: 'tendon',
      position: '7',
      version: '340282366920938463463374607431768211000',
      committed_at: '2026-03-14T11:59:58.123456Z',
    }
    const run = { run_seq: '4', run_id: randomUUID(), state: 'succeeded', _version: '2' }
    await shared.warehouse.insertRows('reports.etl_runs', [
      // Over midnight where somebody lives: what it has read is the day before it ended.
      { ...run, started_at: '2026-03-14T11:59:03.5Z', finished_at: '2026-03-14T12:00:03.5Z' },
      { ...run, run_seq: '5', state: 'failed', run_id: randomUUID() },
      { ...run, run_seq: '3', run_id: randomUUID(), started_at: '2026-03-14T11:30:03.5Z' },
    ])
    await shared.warehouse.insertRows('cdc.positions', [position])
    // What comes in while the report's own query runs may be in the data, and must not be in the claim.
    shared.proxy.intercept(async ({ name, when }) => {
      if (name !== 'prosthesis-daily/statistics' || when !== 'before') return
      const version = '340282366920938463463374607431768211001'
      await shared.warehouse.insertRows('cdc.positions', [{ ...position, position: '8', version }])
    })
    const link = await shared.link(service, daily, token)
    shared.proxy.intercept(async () => {})
    expect(link.freshness).toEqual({
      cdc_position: '340282366920938463463374607431768211000',
      cdc_at: '2026-03-14T11:59:58.123456Z',
      etl_run: run.run_id,
      etl_at: '2026-03-14T11:59:03.500000Z',
    })
    expect(await shared.object(link)).toMatchObject({ freshness: link.freshness })
  })

  test('ClickHouse killed: 503 with Retry-After and nothing left behind, the days as read last; then the report, no restart', async () => {
    const user = await shared.addCustomer('Patient')
    const token = await shared.identity.patient(user)
    const list = async () => (await service.get('/reports', token)).json()
    const listed = await list()
    const unlisted = await shared.identity.patient(randomUUID())
    const restarted = shared.restarted()
    process.kill(shared.server.pid() ?? 0, 'SIGKILL')
    const [refused, others] = await Promise.all([
      service.get(daily, token),
      service.get('/reports', unlisted),
    ])
    expect(others.status).toBe(503)
    expect(await list()).toEqual(listed)
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    const text = await refused.text()
    expect(JSON.parse(text)).toMatchObject({ code: 'TENDON-REPORTS-007' })
    expect(text).not.toMatch(/SELECT|crm\.|ECONNREFUSED/)
    for await (const { key } of shared.store.list(`reports/prosthesis-daily/${user}/`)) expect.fail(key)
    await restarted
    expect(await shared.link(service, daily, token)).toMatchObject({ cache: 'miss' })
  })

  test('ClickHouse that does not answer: 503 within the bound', async () => {
    const impatient = await shared.instance({ queryTimeoutMs: 50 })
    const token = await shared.identity.patient(await shared.addCustomer('Waiting'))
    const answer = Promise.withResolvers<void>()
    shared.proxy.intercept(() => answer.promise)
    const refused = await impatient.get(daily, token)
    answer.resolve()
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ code: 'TENDON-REPORTS-007' })
  })

  test.each([
    ['a malformed date', '/reports/prosthesis-daily/2026-3-14', 400, 'TENDON-REPORTS-001'],
    ['no day of any month', '/reports/prosthesis-daily/2026-02-30', 400, 'TENDON-REPORTS-001'],
    ['a day before all days', '/reports/prosthesis-daily/1969-12-31', 400, 'TENDON-REPORTS-001'],
    ['a day that has begun nowhere', '/reports/prosthesis-daily/2026-03-16', 400, 'TENDON-REPORTS-002'],
    ['an unknown report', `/reports/constructor/${today}`, 404, 'TENDON-REPORTS-003'],
    ['somebody else', `${daily}?user_id=${randomUUID()}`, 403, 'TENDON-REPORTS-004'],
    ['not an id', `${daily}?user_id=me`, 400, 'TENDON-REPORTS-009'],
    ['no such customer', daily, 404, 'TENDON-REPORTS-012'],
  ])('refuses %s', async (_, path, status, code) => {
    const answer = await service.get(path, await shared.identity.patient(randomUUID()))
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(await answer.json()).toMatchObject({ status, code })
  })

  test('a day in the future is one that has not begun where the customer lives, whoever asks for which report', async () => {
    const codesIn = async (time_zone: string) => {
      const id = await shared.addCustomer('Early')
      await shared.warehouse.insertRows('crm.customers', [
        { id, full_name: 'Early', time_zone, _version: '99' },
      ])
      const patient = await shared.identity.patient(id)
      const staff = await shared.identity.bearer({ roles: ['report-admin'] })
      const paths = ['prosthesis-daily', 'prosthesis-trend', 'service-history'].map(
        (name) => `/reports/${name}/2026-03-15`,
      )
      const answers = [
        ...(await Promise.all(paths.map((path) => service.get(path, patient)))),
        ...(await Promise.all(paths.map((path) => service.get(`${path}?user_id=${id}`, staff)))),
      ]
      return new Set(await Promise.all(answers.map(async (answer) => (await answer.json()).code)))
    }
    // At noon in UTC it is the next day for who is twelve hours ahead.
    expect(await codesIn('Pacific/Auckland')).toEqual(new Set([undefined]))
    expect(await codesIn('Europe/Stockholm')).toEqual(new Set(['TENDON-REPORTS-002']))
  })

  test('refuses who is nobody, no customer, without the role, or has a token for another service', async () => {
    const { bearer } = shared.identity
    const customer_id = randomUUID()
    const refusals = [
      [await service.get(daily), 401, 'TENDON-PLATFORM-005'],
      [await service.get(daily, `${await bearer({ customer_id, roles: ['patient'] })}x`), 401],
      [await service.get(daily, await bearer({ customer_id, roles: ['patient'], aud: 'other' })), 401],
      [await service.get(daily, await bearer({ roles: ['patient'] })), 403, 'TENDON-REPORTS-005'],
      [await service.get(daily, await bearer({ customer_id, roles: [] })), 403, 'TENDON-REPORTS-006'],
    ] as const
    for (const [answer, status, code] of refusals) {
      expect(await answer.json()).toMatchObject({ status, ...(code && { code }) })
    }
  })
})

test('GET /reports lists what this user may read, and for which days there is data', async () => {
  const user = await shared.addCustomer('Listed')
  const list = async (token: string, path = '/reports') =>
    reportList.parse(await (await service.get(path, token)).json()).reports
  const formats = ['json', 'csv', 'parquet']
  const none = { latest_date: null, from: null, to: null }
  const entry = {
    name: 'prosthesis-daily',
    title: 'Your prosthesis, day by day',
    subject: 'customer',
    formats,
  }
  const token = await shared.identity.patient(user)
  expect(await list(token)).toContainEqual({ ...entry, ...none })
  await shared.warehouse.insertRows(
    'reports.user_prosthesis_stats',
    ['2026-01-03', '2026-03-13'].map((day) => ({ user_id: user, prosthesis_id: user, day, _version: '1' })),
  )
  const days = { latest_date: '2026-03-13', from: '2026-01-03', to: '2026-03-13' }
  const theirs = await list(token)
  expect(theirs).toContainEqual({ ...entry, ...days })
  expect(new Set(theirs.map(({ subject }) => subject))).toEqual(new Set(['customer']))
  const admin = await shared.identity.admin()
  const ofEverybody = await list(admin)
  expect(ofEverybody).toContainEqual(expect.objectContaining({ name: 'fleet', subject: 'everybody' }))
  const ofUser = await list(admin, `/reports?user_id=${user}`)
  expect(ofUser).toEqual(expect.arrayContaining([...ofEverybody, ...theirs]))
  expect(ofUser).toHaveLength(ofEverybody.length + theirs.length)
  const { bearer } = shared.identity
  expect(await list(await bearer({ customer_id: user, roles: [] }))).toEqual([])
  // Who may read nothing is told the same of whom they may ask for.
  const of = async (path: string, token: string) => (await service.get(path, token)).json()
  expect(await of('/reports', await bearer({ roles: [] }))).toMatchObject({ code: 'TENDON-REPORTS-005' })
  const ofOther = `/reports?user_id=${randomUUID()}`
  expect(await of(ofOther, await bearer({ customer_id: user, roles: [] }))).toMatchObject({
    code: 'TENDON-REPORTS-004',
  })
})

test('no cache keeps an answer: it is for whoever asked, and for now', async () => {
  const patient = await shared.identity.patient(await shared.addCustomer('Private'))
  const user_id = randomUUID()
  const answers = [
    await service.get('/reports', patient),
    await service.get(daily, patient),
    await service.get(`/reports/nothing/${today}`, patient),
    await service.get('/customers?query=Private', await shared.identity.admin()),
    await service.post('/invalidate', { user_id }, await shared.identity.invalidator()),
  ]
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 200, 200])
  for (const answer of answers) expect(answer.headers.get('cache-control'), answer.url).toBe('no-store')
})
