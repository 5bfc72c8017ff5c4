import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { TestBrowser } from '@tendon/bff/fixtures/test-browser.fixture.ts'
import { reportLink } from '@tendon/contracts/reports-api.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { connectWarehouse, readServerVersions } from '../embedded-servers.ts'
import { measured, measuredLatency } from '../results.ts'
import { type RunningProduct, startProduct } from '../running-product.ts'

const changes = 100
/** Between changes, so that they do not fall into step with the feed's own rhythm. */
const maxPauseMs = 50
const visibleWithinMs = 10_000

export const latencyCase: BenchCase = {
  name: 'latency',
  title: 'from a commit in the CRM to the report that shows it',
  timeoutMs: 300_000,
  run: measureLatency,
}

const nameInWarehouse = defineQuery({
  name: 'bench-name-in-warehouse',
  sql: 'SELECT full_name FROM crm.customers FINAL WHERE id = {id:UUID}',
  params: z.object({ id: z.uuid() }),
  row: z.object({ full_name: z.string() }),
})
const nothing = defineQuery({
  name: 'bench-nothing',
  sql: 'SELECT 1 AS one',
  params: z.object({}),
  row: z.object({ one: z.int() }),
})

async function measureLatency(context: BenchContext) {
  const { scope, say } = context
  const dataPath = join(scope.temporaryFolder(), 'data')
  say('first start, so that the demo data is there')
  const quiet = await startProduct(scope, { dataPath, simulator: false })
  const withoutSimulator = await measureProduct(context, quiet)
  await quiet.stop()
  const lively = await startProduct(scope, { dataPath, simulator: true })
  const withSimulator = await measureProduct(context, lively)
  await lively.stop()

  return {
    measurements: [
      ...describe('simulator off', withoutSimulator),
      ...describe('simulator on', withSimulator),
      measured('changes measured each way', changes, 'count'),
    ],
    servers: withoutSimulator.servers,
  }
}

type Latencies = {
  warehouseMs: number[]
  reportMs: number[]
  selectMs: number[]
  cachedReportMs: number[]
}

function describe(when: string, latencies: Latencies) {
  return [
    ...measuredLatency(`${when}: commit → row in crm.customers`, latencies.warehouseMs),
    ...measuredLatency(`${when}: commit → new name in the report`, latencies.reportMs, {
      p99: { atMost: 5_000 },
    }),
    ...measuredLatency(`${when}: floor, SELECT 1 at ClickHouse`, latencies.selectMs),
    ...measuredLatency(`${when}: floor, address of an unchanged report`, latencies.cachedReportMs),
  ]
}

/** The two ways of looking take turns, so that both see the same machine and neither's questions slow the other. */
async function measureProduct({ scope, say }: BenchContext, product: RunningProduct) {
  const settings = await product.connections()
  const crm = await scope.connect(settings.CRM_DATABASE_URL)
  const warehouse = connectWarehouse(scope, {
    url: settings.CLICKHOUSE_URL,
    username: settings.CLICKHOUSE_USER,
    password: settings.CLICKHOUSE_PASSWORD,
  })
  const reader = await signInAsAlice(product.url)
  const latencies: Latencies = { warehouseMs: [], reportMs: [], selectMs: [], cachedReportMs: [] }
  for (let change = 1; change <= changes; change += 1) {
    latencies.selectMs.push(await milliseconds(() => warehouse.query(nothing, {})))
    latencies.cachedReportMs.push(await milliseconds(() => reader.reportAddress()))
    await delay(Math.random() * maxPauseMs)
    latencies.warehouseMs.push(await untilInWarehouse(crm, warehouse, `Alice in the warehouse ${change}`))
    await delay(Math.random() * maxPauseMs)
    latencies.reportMs.push(await untilInReport(crm, reader, `Alice in the report ${change}`))
    if (change % 25 === 0) say(`${change} of ${changes} changes`)
  }
  return { ...latencies, servers: await readServerVersions(crm, warehouse) }
}

async function untilInWarehouse(crm: pg.Client, warehouse: Warehouse, name: string): Promise<number> {
  const committedAt = await renameAlice(crm, name)
  for (;;) {
    const [row] = await warehouse.query(nameInWarehouse, { id: demoPeople.alice.customerId })
    const waitedMs = performance.now() - committedAt
    if (row?.full_name === name) return waitedMs
    assertInTime(waitedMs, name)
  }
}

/** Asks for the report's address until it is another one, and then for the report itself. */
async function untilInReport(crm: pg.Client, reader: ReportReader, name: string): Promise<number> {
  let seen = await reader.reportAddress()
  const committedAt = await renameAlice(crm, name)
  for (;;) {
    const address = await reader.reportAddress()
    // Something else of hers can have changed too, shortly before.
    const shows = address.object !== seen.object && (await reader.read(address.url)).includes(name)
    const waitedMs = performance.now() - committedAt
    if (shows) return waitedMs
    seen = address
    assertInTime(waitedMs, name)
  }
}

/** @returns when the server had answered that it is committed */
async function renameAlice(crm: pg.Client, name: string): Promise<number> {
  await crm.query('UPDATE customers SET full_name = $1 WHERE id = $2', [name, demoPeople.alice.customerId])
  return performance.now()
}

function assertInTime(waitedMs: number, name: string): void {
  if (waitedMs > visibleWithinMs)
    throw new Error(`"${name}" was not to be seen within ${visibleWithinMs} ms.`)
}

type ReportReader = Awaited<ReturnType<typeof signInAsAlice>>

async function signInAsAlice(url: string) {
  const browser = new TestBrowser()
  await browser.signIn(`${url}/auth/login`, 'alice')
  const today = new Date().toISOString().slice(0, 10)
  const headers = { accept: 'application/json' }

  async function get(address: string): Promise<string> {
    const page = await browser.request(address, { headers })
    // A browser keeps no record of all it has seen.
    browser.seen.length = 0
    if (page.status !== 200) throw new Error(`GET ${page.url.pathname} answered ${page.status}: ${page.text}`)
    return page.text
  }

  return {
    /** `object` is the same as long as the report is, while the URL's expiry moves on. */
    async reportAddress(): Promise<{ url: string; object: string }> {
      const link = reportLink.parse(JSON.parse(await get(`${url}/api/reports/cdn/${today}`)))
      return { url: link.url, object: new URL(link.url).pathname }
    },
    read: get,
  }
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
