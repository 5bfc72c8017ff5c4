import { gunzipSync } from 'node:zlib'
import type { ReportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import {
  daily,
  objectName,
  startTestInstances,
  type TestInstances,
  today,
} from '../fixtures/test-instances.fixture.ts'
import { toCsv } from '../table-formats/csv.ts'
import { toParquet } from '../table-formats/parquet.ts'
import { tableColumns } from '../table-formats/table-columns.ts'

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

const row = z.object({
  name: z.string(),
  day: z.iso.date(),
  at: z.iso.datetime(),
  events: z.int(),
  rate: z.number().nullable(),
  side: z.enum(['left', 'right']).nullable(),
})
const columns = tableColumns(row)
const envelopeOf = (rows: ReportEnvelope['rows']): ReportEnvelope => ({
  schema_version: 2,
  report: 'wear-weekly',
  title: 'Wear',
  user_id: null,
  date: today,
  parameters: { days: '30' },
  generated_at: '2026-03-14T12:00:00.000Z',
  freshness: { cdc_position: '7', cdc_at: null, etl_run: null, etl_at: null },
  units: { rate: 'errors per event' },
  data: {},
  rows,
})

const time = fc
  .bigInt({ min: 0n, max: 4_102_444_800_000_000n })
  .map(
    (us) =>
      `${new Date(Number(us / 1_000n)).toISOString().slice(0, -1)}${String(us % 1_000n).padStart(3, '0')}Z`,
  )
const rows = fc.array(
  fc.record({
    name: fc.string({ unit: 'grapheme' }),
    day: fc
      .integer({ min: 0, max: 40_000 })
      .map((day) => new Date(day * 86_400_000).toISOString().slice(0, 10)),
    at: time,
    events: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    // JSON's rows have no negative zero.
    rate: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((rate) => rate + 0)),
    side: fc.option(fc.constantFrom('left' as const, 'right' as const)),
  }),
  { maxLength: 20 },
)

test('ClickHouse reads from the Parquet file the very rows that went in, with their types', async () => {
  const { warehouse } = shared
  await warehouse.command(`
    CREATE TABLE default.read_back (n UInt32, name String, day Date32, at DateTime64(6, 'UTC'), events Int64,
      rate Nullable(Float64), side Nullable(String)) ENGINE = Memory`)
  const readBack = defineQuery({
    name: 'read-back',
    sql: 'SELECT * EXCEPT (n) FROM default.read_back ORDER BY n',
    params: z.object({}),
    row: row.extend({ events: z.coerce.number<string>() }),
  })
  await fc.assert(
    fc.asyncProperty(rows, async (given) => {
      await warehouse.command('TRUNCATE TABLE default.read_back')
      const numbered = given.map((values, n) => ({ n, ...values }))
      const file = toParquet(envelopeOf(numbered), [{ name: 'n', type: 'integer' }, ...columns])
      await warehouse.insertLines('default.read_back', Buffer.from(file), 'Parquet')
      expect(await warehouse.query(readBack, {})).toEqual(given)
    }),
    { numRuns: 40 },
  )
})

test('CSV says what it is and how old in each row, and holds no formula', () => {
  const lines = Buffer.from(
    toCsv(
      envelopeOf([
        { name: '=1+1', day: today, at: '2026-03-14T00:00:00.000000Z', events: -3, rate: -0.5, side: null },
        {
          name: 'a "b",\r\nc',
          day: today,
          at: '2026-03-14T00:00:00.000000Z',
          events: 1,
          rate: null,
          side: 'left',
        },
      ]),
      columns,
    ),
  ).toString()
  const about = `wear-weekly,2,,${today},30,2026-03-14T12:00:00.000Z,7,,,,rate: errors per event`
  expect(lines).toBe(
    [
      'name,day,at,events,rate,side,_report,_schema_version,_user_id,_date,_days,_generated_at,_cdc_position,_cdc_at,_etl_run,_etl_at,_units',
      `'=1+1,${today},2026-03-14T00:00:00.000000Z,-3,-0.5,,${about}`,
      `"a ""b"",\r\nc",${today},2026-03-14T00:00:00.000000Z,1,,left,${about}`,
      '',
    ].join('\r\n'),
  )
})

test('CSV without rows says what it is and how old in a line that has nothing else', () => {
  const [header, ...lines] = Buffer.from(toCsv(envelopeOf([]), columns))
    .toString()
    .split('\r\n')
  expect(header).toContain('name,day,at,events,rate,side,_report,')
  expect(lines).toEqual([
    `,,,,,,wear-weekly,2,,${today},30,2026-03-14T12:00:00.000Z,7,,,,rate: errors per event`,
    '',
  ])
})

test('all formats of a report cost one SELECT and are made of one state of the data', async () => {
  const user = await shared.addCustomer('Formatted')
  const token = await shared.identity.patient(user)
  const instances = [await shared.instance(), await shared.instance()]
  const { proxy, warehouse } = shared
  await warehouse.insertRows('crm.prostheses', [
    {
      id: user,
      serial_number: 'TN-0007',
      customer_id: user,
      model_id: 1,
      issued_at: '2026-01-01',
      _version: '1',
    },
  ])
  await warehouse.insertRows('reports.user_prosthesis_stats', [
    { user_id: user, prosthesis_id: user, day: today, events: 7, active_minutes: 12.5, _version: '1' },
  ])
  const before = proxy.count('prosthesis-daily/statistics')
  const links = await Promise.all(
    ['csv', 'parquet', 'json', 'csv', 'parquet', 'json'].map((format, n) =>
      shared.link(instances[n % 2]!, `${daily}?format=${format}`, token),
    ),
  )
  expect(proxy.count('prosthesis-daily/statistics') - before).toBe(1)
  const names = new Set(links.map(objectName))
  expect([...names].map((name) => name.split('.').pop()).sort()).toEqual(['csv', 'json', 'parquet'])
  expect(new Set([...names].map((name) => name.replace(/\.\w+$/, ''))).size).toBe(1)
  expect(new Set(links.map((link) => link.generated_at)).size).toBe(1)

  const stored = async (format: string) =>
    (await shared.store.get([...names].find((name) => name.endsWith(format))!))!
  const csv = await stored('csv')
  expect(csv).toMatchObject({
    contentType: 'text/csv; charset=utf-8',
    contentEncoding: 'gzip',
    cacheControl: 'private, max-age=31536000, immutable',
  })
  expect(gunzipSync(csv.body).toString()).toContain(`${user},TN-0007,Grip 3,${today},7,`)
  const parquet = await stored('parquet')
  expect(parquet).toMatchObject({ contentType: 'application/vnd.apache.parquet' })
  expect(Buffer.from(parquet.body).toString('latin1')).toMatch(/^PAR1.*PAR1$/s)
  expect(await shared.link(instances[0]!, `${daily}?format=csv`, token)).toMatchObject({ cache: 'hit' })
})

test.each([
  ['another format', `${daily}?format=xlsx`],
  ['a format twice', `${daily}?format=csv&format=csv`],
  ['a parameter that the report does not have', `${daily}?days=30`],
  ['a value that it does not take', `/reports/prosthesis-trend/${today}?days=31`],
])('refuses %s', async (_, path) => {
  const token = await shared.identity.patient(await shared.addCustomer('Refused'))
  const answer = await (await shared.instance()).get(path, token)
  expect(await answer.json()).toMatchObject({ status: 400, code: 'TENDON-REPORTS-009' })
})

test('what a report is asked by stands in its name', async () => {
  const token = await shared.identity.patient(await shared.addCustomer('Trendy'))
  const instance = await shared.instance()
  const trend = `/reports/prosthesis-trend/${today}`
  const ninety = await shared.link(instance, `${trend}?days=90`, token)
  expect(ninety.url).toContain('-days-90.json?')
  expect(await shared.stored(ninety)).toMatchObject({ parameters: { days: '90' } })
  const thirty = await shared.link(instance, trend, token)
  expect(objectName(await shared.link(instance, `${trend}?days=30`, token))).toBe(objectName(thirty))
})

test.each([
  ['deleted by hand', (name: string) => shared.store.delete(name)],
  [
    'replaced by what is no report',
    (name: string) =>
      shared.store.put(name, Buffer.from('{"schema_ver'), { contentType: 'application/json' }),
  ],
])('a report that was %s is seen to be by who asks for its CSV, and computed again', async (_, spoil) => {
  const instance = await shared.instance()
  const token = await shared.identity.patient(await shared.addCustomer('Spoiled'))
  // From here on the instance believes that it is there.
  await spoil(objectName(await shared.link(instance, daily, token)))
  const table = await shared.link(instance, `${daily}?format=csv`, token)
  expect(await shared.store.head(objectName(table))).toBeDefined()
  expect(await shared.object(await shared.link(instance, daily, token))).toMatchObject({
    generated_at: table.generated_at,
    data: { customer: { full_name: 'Spoiled' } },
  })
})
