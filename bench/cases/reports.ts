import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { TestBrowser } from '@tendon/bff/fixtures/test-browser.fixture.ts'
import { reportFormat } from '@tendon/contracts/report-envelope.ts'
import { invalidateResponse, reportLink } from '@tendon/contracts/reports-api.ts'
import { listen } from '@tendon/platform/http-server.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { createFolderStore } from '@tendon/platform/object-store-folder.ts'
import { readCustomer } from '@tendon/reports-service/customer-data/customer-query.ts'
import { startTestIdentity } from '@tendon/reports-service/fixtures/test-identity.fixture.ts'
import { readFreshness } from '@tendon/reports-service/freshness/freshness.ts'
import { report as daily } from '@tendon/reports-service/reports/prosthesis-daily/report.ts'
import { createReportsService } from '@tendon/reports-service/reports-service.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { crmReplicas } from '@tendon/warehouse/crm-replicas.fixture.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { bytesOnTheWire } from '../bytes-on-the-wire.ts'
import { openWarehouse } from '../embedded-servers.ts'
import { generateLoad } from '../load-generator.ts'
import { treeCpuSeconds } from '../processes.ts'
import { type Measurement, measured, measuredLatency, measuredRepeatedly } from '../results.ts'
import { startProduct } from '../running-product.ts'
import type { Scope } from '../scope.ts'
import { openStackObjectStore } from '../stack-object-store.ts'

const repetitions = 5
const seconds = 3
const connections = 16
const misses = 200
const invalidatedUsers = 100_000
const date = '2026-01-31'

export const reportsCase: BenchCase = {
  name: 'reports',
  title: 'a cached report beside a trivial handler, a miss beside its SELECTs, and 100,000 invalidations',
  timeoutMs: 600_000,
  run: measureReports,
}

async function measureReports(context: BenchContext) {
  const { say } = context
  say('cached reports, through the whole product')
  const hits = await measureHits(context)
  say('misses')
  const { warehouse } = await openWarehouse(context)
  for (const table of crmReplicas) await warehouse.command(table)
  const others = await measureService(context, warehouse)
  const [version] = await warehouse.query(clickhouseVersion, {})
  return { measurements: [...hits, ...others], servers: { clickhouse: version!.version } }
}

/** Bff and reports-service are one process here, the handler another: so the CPU for a request is what compares. */
async function measureHits({ scope }: BenchContext): Promise<Measurement[]> {
  const dataPath = join(scope.temporaryFolder(), 'data')
  // One browser asks more often here than any is let.
  const limit = '1000000000'
  const env = { API_REQUESTS_PER_MINUTE: limit, API_REQUESTS_PER_MINUTE_PER_ADDRESS: limit }
  const product = await startProduct(scope, { dataPath, simulator: false, env })
  const browser = new TestBrowser()
  await browser.signIn(`${product.url}/auth/login`, 'alice')
  const cookie = `session_id=${browser.cookie('session_id')!.value}`
  const url = `${product.url}/api/reports/cdn/${new Date().toISOString().slice(0, 10)}`
  const link = reportLink.parse(await (await fetch(url, { headers: { cookie } })).json())
  const handler = await startHandler(scope, JSON.stringify(link))

  const samples = { rate: [], ratio: [], p50: [], p99: [], cpu: [], cpuRatio: [], handlerRate: [] } as Record<
    'rate' | 'ratio' | 'p50' | 'p99' | 'cpu' | 'cpuRatio' | 'handlerRate',
    number[]
  >
  for (let repetition = 0; repetition <= repetitions; repetition += 1) {
    const own = await loaded(product, url, { cookie })
    const other = await loaded(handler, handler.url, { cookie })
    // The first one warms both up.
    if (repetition === 0) continue
    samples.rate.push(own.requestsPerSecond)
    samples.handlerRate.push(other.requestsPerSecond)
    samples.ratio.push(own.requestsPerSecond / other.requestsPerSecond)
    samples.p50.push(own.p50Ms)
    samples.p99.push(own.p99Ms)
    samples.cpu.push(own.cpuUs)
    samples.cpuRatio.push(other.cpuUs / own.cpuUs)
  }
  const wire: Measurement[] = []
  for (const format of reportFormat.options) {
    const answer = await fetch(`${url}?format=${format}`, { headers: { cookie } })
    const bytes = await bytesOnTheWire(reportLink.parse(await answer.json()).url)
    wire.push(measured(`alice's daily report as ${format} on the wire, headers included`, bytes, 'bytes'))
  }
  await product.stop()
  return [
    measuredRepeatedly('cached report, through bff and service', samples.rate, 'requests/s'),
    measuredRepeatedly('a trivial Hono handler with the same answer', samples.handlerRate, 'requests/s'),
    measuredRepeatedly('cached report: of the rate of that handler', samples.ratio, '×', { atLeast: 0.5 }),
    measuredRepeatedly('cached report: CPU of bff and service', samples.cpu, 'CPU µs'),
    measuredRepeatedly('cached report: of the requests for that CPU', samples.cpuRatio, '×'),
    measuredRepeatedly('cached report, p50', samples.p50, 'ms'),
    measuredRepeatedly('cached report, p99', samples.p99, 'ms'),
    ...wire,
  ]
}

async function loaded(server: { pid: number }, url: string, headers: Record<string, string>) {
  const before = await treeCpuSeconds(server.pid)
  const load = await generateLoad({ url, seconds, connections, headers })
  return { ...load, cpuUs: (((await treeCpuSeconds(server.pid)) - before) / load.requests) * 1e6 }
}

async function startHandler(scope: Scope, answer: string): Promise<{ url: string; pid: number }> {
  const file = fileURLToPath(new URL('trivial-handler.ts', import.meta.url))
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ANSWER: answer },
  })
  scope.defer(async () => {
    const exited = once(child, 'exit')
    child.kill()
    await exited
  })
  const [url] = await once(createInterface(child.stdout), 'line')
  return { url, pid: child.pid! }
}

async function measureService(
  { scope, log, say }: BenchContext,
  warehouse: Warehouse,
): Promise<Measurement[]> {
  const identity = await startTestIdentity()
  scope.defer(() => identity.close())
  const keyValue = openKeyValue(scope, { log })
  const store = process.env.S3_ENDPOINT
    ? openStackObjectStore()
    : createFolderStore(join(scope.temporaryFolder(), 'objects'))
  const putInto = process.env.S3_ENDPOINT ? 'PUT into MinIO' : 'PUT into a folder'
  const service = createReportsService({
    config: {
      cdnBaseUrl: 'http://cdn.test',
      signingKeys: [{ id: 'bench', secret: 'a-secret-of-the-benchmark-0123456789' }],
      concurrentQueries: 8,
      queryTimeoutMs: 10_000,
      objectMaxAgeDays: 7,
      prewarmUsers: 0,
    },
    warehouse,
    store,
    keyValue,
    verifyAccessToken: identity.verifyAccessToken,
    log,
    metrics: createMetrics('reports_service'),
  })
  await service.start()
  scope.defer(() => service.stop())
  const server = await listen(service.app, { port: 0, log })
  scope.defer(() => server.close())

  const users = await makeUsers(warehouse, 2 * misses)
  const [missMs, selectMs]: [number[], number[]] = [[], []]
  for (let n = 0; n < misses; n += 1) {
    const authorization = await identity.patient(users[2 * n]!)
    missMs.push(
      await milliseconds(async () => {
        const answer = await fetch(`${server.url}/reports/prosthesis-daily/${date}`, {
          headers: { authorization },
        })
        if (reportLink.parse(await answer.json()).cache !== 'miss') throw new Error('It was there already.')
      }),
    )
    // The same statements for another user, and nothing else.
    selectMs.push(
      await milliseconds(async () => {
        await readFreshness(warehouse.query)
        const user_id = users[2 * n + 1]!
        const customer = await readCustomer(warehouse.query, user_id)
        await daily.compute(warehouse.query, { user_id, customer: customer!, date, chosen: {} })
      }),
    )
  }

  say('invalidations')
  const ids = Array.from({ length: invalidatedUsers }, () => randomUUID())
  const token = await identity.invalidator()
  const invalidationS: number[] = []
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    const ms = await milliseconds(async () => {
      const answer = await fetch(`${server.url}/invalidate`, {
        method: 'POST',
        headers: { authorization: token, 'content-type': 'application/json' },
        body: JSON.stringify({ user_ids: ids }),
      })
      if (invalidateResponse.parse(await answer.json()).invalidated !== ids.length)
        throw new Error('Not all.')
    })
    invalidationS.push(ms / 1_000)
  }
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
  return [
    ...measuredLatency(`a miss: token, generation, SELECTs, ${putInto}, link`, missMs),
    ...measuredLatency('its SELECTs alone', selectMs),
    measured('a miss: times its SELECTs, medians', median(missMs) / median(selectMs), '×', { atMost: 2 }),
    measuredRepeatedly(
      `POST /invalidate of 100,000 users${process.env.REDIS_URL ? ', in Redis' : ', in memory'}`,
      invalidationS,
      's',
      { atMost: 1 },
    ),
  ]
}

function openKeyValue(scope: Scope, { log }: Pick<BenchContext, 'log'>): KeyValue {
  const url = process.env.REDIS_URL
  const keyValue = url ? createRedisKeyValue({ url, log }) : createMemoryKeyValue()
  scope.defer(() => keyValue.close())
  return keyValue
}

async function makeUsers(warehouse: Warehouse, count: number): Promise<string[]> {
  const users = Array.from({ length: count }, () => randomUUID())
  const models = [{ id: 1, name: 'Grip 3', _version: '1' }]
  const customers = users.map((id) => ({ id, full_name: 'Somebody', _version: '1' }))
  const prostheses = users.map((id) => ({
    id,
    customer_id: id,
    model_id: 1,
    issued_at: '2020-01-01',
    _version: '1',
  }))
  await warehouse.insertRows('crm.prosthesis_models', models)
  await warehouse.insertRows('crm.customers', customers)
  await warehouse.insertRows('crm.prostheses', prostheses)
  await warehouse.command(
    `INSERT INTO reports.user_prosthesis_stats (user_id, prosthesis_id, day, model_id, events, error_rate, active_minutes, movements, _version)
     SELECT id, id, toDate('${date}') - toUInt16(number), 1, 200, 0.01, 300, 4000, 1
     FROM crm.customers CROSS JOIN numbers(90) AS ages`,
  )
  return users
}

const clickhouseVersion = defineQuery({
  name: 'bench-version',
  sql: 'SELECT version() AS version',
  params: z.object({}),
  row: z.object({ version: z.string() }),
})

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}
