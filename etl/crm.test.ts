import { applyCrmSchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import type { ReadCrm } from './crm.ts'
import { createPostgresCrm } from './crm-postgres.ts'
import { createWarehouseCrm } from './crm-warehouse.ts'
import { startEtlWorld } from './etl-world.fixture.ts'

const [world, postgres] = await Promise.all([startEtlWorld(), startTestPostgres()])
afterAll(() => Promise.all([world.stop(), postgres.remove()]))

const customer = '00000000-0000-4000-8000-00000000000a'
const ids = [1, 2].map((n) => `00000000-0000-4000-9000-00000000000${n}`)
const common = {
  serial_number: 'S',
  customer_id: customer,
  model_id: 7,
  side: 'left',
  firmware_version: '1.2.3',
}
const rows = [
  { ...common, id: ids[0], chip_id: 'c1', issued_at: '2024-02-29', returned_at: '2024-03-01' },
  { ...common, id: ids[1], chip_id: 'c1', issued_at: '2024-03-01', returned_at: null },
]
const model = {
  id: 7,
  name: 'Hand',
  kind: 'hand',
  generation: 1,
  weight_grams: 400,
  list_price: 1,
  released_on: '2020-01-01',
}

async function fillWarehouse(): Promise<ReadCrm> {
  const story = await world.freshStory()
  await story.live(customer, 'Europe/Vienna')
  const version = { _version: '9', _deleted: 0 }
  await world.warehouse.insertRows(
    'crm.prostheses',
    rows.map((row) => ({ ...row, ...version })),
  )
  await world.warehouse.insertRows('crm.prosthesis_models', [{ ...model, ...version }])
  await story.end()
  return createWarehouseCrm(world.warehouse)
}

async function fillPostgres(): Promise<ReadCrm> {
  const url = await postgres.freshDatabase()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await applyCrmSchema(client)
  await client.query(
    `INSERT INTO customers (id, full_name, email, date_of_birth, address, locale, time_zone)
     VALUES ($1, 'Alice', 'alice@example.org', '1990-01-01', '{}', 'de-AT', 'Europe/Vienna')`,
    [customer],
  )
  for (const [table, items] of [
    ['prosthesis_models', [model]],
    ['prostheses', rows],
  ] as const) {
    await client.query(`INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1)`, [
      JSON.stringify(items.map((item) => ({ settings: {}, features: [], ...item }))),
    ])
  }
  await client.end()
  return createPostgresCrm(url)
}

test.each([
  ['the replicas', fillWarehouse],
  ['the CRM itself', fillPostgres],
])('%s say who had what when', async (_, fill) => {
  const { prostheses, modelIds } = await (await fill())()
  const read = {
    userId: customer,
    chipId: 'c1',
    modelId: 7,
    firmwareVersion: '1.2.3',
    timeZone: 'Europe/Vienna',
  }
  expect(prostheses.toSorted((a, b) => a.issuedDay - b.issuedDay)).toEqual([
    { ...read, prosthesisId: ids[0], issuedDay: 19_782, returnedDay: 19_783 },
    { ...read, prosthesisId: ids[1], issuedDay: 19_783, returnedDay: null },
  ])
  expect([...modelIds]).toEqual([7])
})

test('a CRM that is away is said to be away', async () => {
  const read = createPostgresCrm('postgresql://postgres@127.0.0.1:1/crm')
  await expect(read()).rejects.toMatchObject({ code: 'TENDON-ETL-007' })
})
