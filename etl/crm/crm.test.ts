import { applyCrmSchema } from '@tendon/sources/apply-schema.ts'
import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { startEtlWorld } from '../fixtures/etl-world.fixture.ts'
import type { CrmView, ReadCrm } from './crm.ts'
import { createPostgresCrm } from './crm-postgres.ts'
import { createWarehouseCrm } from './crm-warehouse.ts'

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

/** What a customer, a prosthesis and the models are after a transaction. */
type State = { zone: string; chip: string; modelIds: number[] }
const states: [State, State] = [
  { zone: 'Europe/Vienna', chip: 'c1', modelIds: [7] },
  { zone: 'Asia/Tokyo', chip: 'c2', modelIds: [7, 8] },
]

/** The inserts that store a transaction, as a feed makes them: ClickHouse shows them one after the other. */
function insertsOf({ zone, chip, modelIds }: State, transaction: bigint): (() => Promise<void>)[] {
  const changes = [
    ['customers', { id: customer, time_zone: zone }],
    ['prostheses', { ...rows[1], id: ids[1], chip_id: chip }],
    ['prosthesis_models', { ...model, id: modelIds.at(-1) }],
  ] as const
  const stored = changes.map(([table, row], index) => ({
    table,
    row,
    version: String((transaction << 64n) + 2n + BigInt(index)),
  }))
  return [
    () =>
      world.warehouse.insertRows(
        'cdc.events',
        stored.map(({ table, row, version }) => ({
          table: `public.${table}`,
          key: JSON.stringify({ id: row.id }),
          version,
          op: table !== 'prosthesis_models' && transaction > firstTransaction ? 'u' : 'c',
          deleted: 0,
          row: JSON.stringify(row),
          committed_at: '2026-01-01T00:00:00Z',
        })),
      ),
    ...stored.map(
      ({ table, row, version }) =>
        () =>
          world.warehouse.insertRows(`crm.${table}`, [{ ...row, _version: version, _deleted: 0 }]),
    ),
  ]
}

const firstTransaction = 1_000n
const secondTransaction = 2_000n
const replicas = ['crm.customers', 'crm.prostheses', 'crm.prosthesis_models']
/** As the embedded feed says it. */
const wholeBefore = (lsn: bigint) => (lsn << 64n) + 2n
const moveFeed = (lsn: bigint) =>
  world.warehouse.insertRows('cdc.positions', [
    { feed: 'f', position: String(lsn), lsn: String(lsn), whole_before: String(wholeBefore(lsn)) },
  ])

async function beginHistory(): Promise<void> {
  for (const table of ['cdc.events', 'cdc.positions', ...replicas])
    await world.warehouse.command(`TRUNCATE TABLE ${table}`)
  for (const insert of insertsOf(states[0], firstTransaction)) await insert()
  await moveFeed(firstTransaction + 1n)
}

const stateOf = ({ prostheses, modelIds }: CrmView): State => ({
  zone: prostheses[0]!.timeZone,
  chip: prostheses[0]!.chipId,
  modelIds: [...modelIds].sort(),
})

/** What is read when one insert after the other comes before the query of its number. */
async function readWhile(inserts: (() => Promise<void>)[], befores: readonly number[]): Promise<State> {
  await beginHistory()
  const waiting = inserts.map((insert, i) => ({ insert, before: befores[i]! }))
  let queries = 0
  const turns = { last: Promise.resolve() }
  const warehouse: Warehouse = {
    ...world.warehouse,
    query(query, params) {
      const number = queries++
      // Those that are asked at the same time take their turns.
      const answer = turns.last.then(async () => {
        while (waiting[0] && waiting[0].before <= number) await waiting.shift()!.insert()
        return world.warehouse.query(query, params)
      })
      turns.last = answer.then(() => {})
      return answer
    },
  }
  const view = await createWarehouseCrm(warehouse, { waitForFeedMs: 0 })()
  return stateOf(view)
}

test('of a transaction that becomes visible while the replicas are read, everything is seen or nothing', async () => {
  const inserts = insertsOf(states[1], secondTransaction)
  const orders = [inserts, inserts.toReversed(), [inserts[2]!, inserts[0]!, inserts[3]!, inserts[1]!]]
  const seen = new Set<State>()
  for (const order of orders) {
    for (let first = 0; first <= 5; first++) {
      for (let gap = 0; gap <= 1; gap++) {
        const befores = order.map((_, i) => first + gap * i)
        const read = await readWhile(
          [...order, () => moveFeed(secondTransaction + 1n)],
          [...befores, befores.at(-1)!],
        )
        const state = states.find(({ zone }) => zone === read.zone)!
        expect(read, `inserts before the queries ${befores}`).toEqual(state)
        seen.add(state)
      }
    }
  }
  expect(seen.size).toBe(2)
}, 300_000)

test('a transaction that the feed has stored by half is waited for', async () => {
  await beginHistory()
  const [log, customers, ...others] = insertsOf(states[1], secondTransaction)
  await log!()
  await customers!()
  let isRest = false
  const warehouse: Warehouse = {
    ...world.warehouse,
    async query(query, params) {
      const found = await world.warehouse.query(query, params)
      if (query.name === 'etl-feed-position' && !isRest) {
        isRest = true
        for (const insert of others) await insert()
        await moveFeed(secondTransaction + 1n)
      }
      return found
    },
  }
  expect(stateOf(await createWarehouseCrm(warehouse)())).toEqual(states[1])
})

test('the position of a feed that was given up says nothing of what another one stores', async () => {
  await beginHistory()
  const former = { feed: 'former', position: '9000', lsn: '9000', stored_at: '2020-01-01T00:00:00Z' }
  await world.warehouse.insertRows('cdc.positions', [former])
  for (const insert of insertsOf(states[1], secondTransaction).slice(0, 2)) await insert()
  expect(stateOf(await createWarehouseCrm(world.warehouse, { waitForFeedMs: 0 })())).toEqual(states[0])
})

test('behind Debezium, what is stored of a transaction that was open at the position is not taken for whole', async () => {
  await beginHistory()
  const position = 3n * secondTransaction
  const whole = String(secondTransaction << 64n)
  await world.warehouse.insertRows('cdc.positions', [
    { feed: 'f', position: String(position), lsn: String(position), whole_before: whole },
  ])
  for (const insert of insertsOf(states[1], secondTransaction).slice(0, 2)) await insert()
  expect(stateOf(await createWarehouseCrm(world.warehouse, { waitForFeedMs: 0 })())).toEqual(states[0])
})

test.each([
  ['has come after it', (1_500n << 64n) + 2n],
  ['has its newest change', (secondTransaction << 64n) + 2n],
])(
  'where a position of before the upgrade does not say what is whole, no transaction is that %s',
  async (_, newest) => {
    await beginHistory()
    const position = String(3n * secondTransaction)
    await world.warehouse.insertRows('cdc.positions', [
      { feed: 'f', position, lsn: position, version: String(newest) },
    ])
    for (const insert of insertsOf(states[1], secondTransaction).slice(0, 2)) await insert()
    expect(stateOf(await createWarehouseCrm(world.warehouse, { waitForFeedMs: 0 })())).toEqual(states[0])
  },
)

test('a snapshot that the feed is taking is not mixed with what there was before', async () => {
  await beginHistory()
  const version = String((secondTransaction << 64n) + 1n)
  const prosthesis = { ...rows[1], chip_id: 'c2' }
  await world.warehouse.insertRows('cdc.events', [
    {
      table: 'public.prostheses',
      key: JSON.stringify({ id: ids[1] }),
      version,
      op: 'r',
      deleted: 0,
      row: JSON.stringify(prosthesis),
      committed_at: '2026-01-01T00:00:00Z',
    },
  ])
  await world.warehouse.insertRows('crm.prostheses', [{ ...prosthesis, _version: version, _deleted: 0 }])
  const read = createWarehouseCrm(world.warehouse, { waitForFeedMs: 0 })
  const view = await read()
  expect(stateOf(view)).toEqual(states[0])
  expect(BigInt(view.version)).toBeLessThan(wholeBefore(firstTransaction + 1n))
})

test('more rows may be in motion than a parameter of a query has room for', async () => {
  await beginHistory()
  const version = String((secondTransaction << 64n) + 2n)
  const ofMany = (row: (id: string) => Record<string, unknown>) =>
    Array.from({ length: 4_000 }, (_, n) => row(`10000000-0000-4000-8000-${String(n).padStart(12, '0')}`))
  await world.warehouse.insertRows(
    'cdc.events',
    ofMany((id) => ({
      table: 'public.prostheses',
      key: JSON.stringify({ id }),
      version,
      op: 'c',
      deleted: 0,
      row: '{}',
      committed_at: '2026-01-01T00:00:00Z',
    })),
  )
  await world.warehouse.insertRows(
    'crm.prostheses',
    ofMany((id) => ({ ...rows[1], id, _version: version, _deleted: 0 })),
  )
  // ClickHouse refuses longer ones, chDB takes any.
  const warehouse: Warehouse = {
    ...world.warehouse,
    query(query, params) {
      expect(JSON.stringify(params).length, query.name).toBeLessThan(128 * 1024)
      return world.warehouse.query(query, params)
    },
  }
  const view = await createWarehouseCrm(warehouse, { waitForFeedMs: 0 })()
  expect(view.prostheses.map(({ prosthesisId }) => prosthesisId)).toEqual([ids[1]])
})

test('a prosthesis that is deleted by what is in motion stands as it was', async () => {
  await beginHistory()
  const version = String((secondTransaction << 64n) + 2n)
  await world.warehouse.insertRows('crm.prostheses', [{ ...rows[1], _version: version, _deleted: 1 }])
  const read = createWarehouseCrm(world.warehouse, { waitForFeedMs: 0 })
  const [before] = (await read()).prostheses
  expect(before).toEqual({
    prosthesisId: ids[1],
    userId: customer,
    chipId: 'c1',
    modelId: 7,
    firmwareVersion: '1.2.3',
    issuedDay: 19_783,
    returnedDay: null,
    timeZone: 'Europe/Vienna',
  })
  await moveFeed(secondTransaction + 1n)
  expect((await read()).prostheses).toEqual([])
})

test('a CRM that is away is said to be away', async () => {
  const read = createPostgresCrm('postgresql://postgres@127.0.0.1:1/crm')
  await expect(read()).rejects.toMatchObject({ code: 'TENDON-ETL-007' })
})
