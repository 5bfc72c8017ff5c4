import { runCli } from '@tendon/cdc/cdc-process.fixture.ts'
import { demoPeople } from '@tendon/sources/demo-people.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { askedMetrics, exposedMetrics } from './asked-metrics.fixture.ts'
import { descendants, isLoopback, listeningAddresses } from './listening-sockets.fixture.ts'
import { objectOf, signIn, startTestTendon, type TestTendon, today } from './test-tendon.fixture.ts'
import { userToken } from './user-token.fixture.ts'

const { alice, bob } = demoPeople
let tendon: TestTendon

beforeAll(async () => {
  tendon = await startTestTendon()
}, 120_000)
afterAll(() => tendon?.stop())

async function inDatabase(url: string, sql: string, values: unknown[] = []) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(sql, values)
  } finally {
    await client.end()
  }
}
const inCrm = (sql: string, values?: unknown[]) => inDatabase(tendon.settings.CRM_DATABASE_URL, sql, values)

/** A command, with the addresses of this Tendon. */
const cdc = (...argv: string[]) => runCli(tendon.settings, ...argv)

async function objectOfBob(): Promise<string> {
  return objectOf((await (await signIn(tendon, 'bob')).report()).url)
}

test('a change of the CRM reaches its patient within five seconds, and nobody else', async () => {
  const [alicesBrowser, bobsBrowser] = await Promise.all([signIn(tendon, 'alice'), signIn(tendon, 'bob')])
  const [before, bobBefore] = await Promise.all([alicesBrowser.report(), bobsBrowser.report()])
  expect(before.data.customer.full_name).toBe(alice.fullName)
  expect(before.data.prostheses).toHaveLength(2)
  expect(before.data.prostheses[0]!.last_30_days.length).toBeGreaterThan(20)
  expect(before.envelope.freshness.etl_run).not.toBeNull()

  const renamed = 'Alice Liddell-Åström'
  await inCrm('UPDATE customers SET full_name = $1 WHERE id = $2', [renamed, alice.customerId])
  await expect
    .poll(async () => (await alicesBrowser.report()).data.customer.full_name, {
      timeout: 5_000,
      interval: 20,
    })
    .toBe(renamed)

  const [after, bobAfter] = await Promise.all([alicesBrowser.report(), bobsBrowser.report()])
  expect(objectOf(after.url)).not.toBe(objectOf(before.url))
  expect(BigInt(after.envelope.freshness.cdc_position!)).toBeGreaterThan(
    BigInt(before.envelope.freshness.cdc_position!),
  )
  expect(objectOf(bobAfter.url)).toBe(objectOf(bobBefore.url))
  expect(bobAfter.bytes).toBe(bobBefore.bytes)
})

test("new telemetry changes its owner's numbers with the next ETL run, and nobody else's", async () => {
  const [alicesBrowser, bobsBrowser] = await Promise.all([signIn(tendon, 'alice'), signIn(tendon, 'bob')])
  const [before, bobBefore] = await Promise.all([alicesBrowser.report(), bobsBrowser.report()])
  const { rows } = await inCrm(
    'SELECT id, chip_id FROM prostheses WHERE customer_id = $1 AND returned_at IS NULL ORDER BY id LIMIT 1',
    [alice.customerId],
  )
  const { id, chip_id: chipId } = rows[0]
  await inDatabase(
    tendon.settings.TELEMETRY_DATABASE_URL,
    `INSERT INTO telemetry_events (chip_id, signal, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms)
     SELECT $1, 'movement', $2::date + interval '1 minute' * n, 100 + n, 80, 'E42', 5, 60000 FROM generate_series(1, 10) AS n`,
    [chipId, today()],
  )
  const run = await tendon.etl.runOnce()
  expect(run).toMatchObject({ state: 'succeeded', users_invalidated: 1 })

  const [after, bobAfter] = await Promise.all([alicesBrowser.report(), bobsBrowser.report()])
  const dayOf = (report: typeof after) => report.data.prostheses.find((p) => p.prosthesis_id === id)!.day
  expect(dayOf(after)!.errors - (dayOf(before)?.errors ?? 0)).toBe(10)
  expect(dayOf(after)!.movements - (dayOf(before)?.movements ?? 0)).toBe(50)
  expect(objectOf(after.url)).not.toBe(objectOf(before.url))
  expect(objectOf(bobAfter.url)).toBe(objectOf(bobBefore.url))
  expect(bobAfter.bytes).toBe(bobBefore.bytes)

  // Running again finds nothing to do, and leaves every report where it is.
  expect(await tendon.etl.runOnce()).toMatchObject({ state: 'succeeded', users_invalidated: 0 })
  expect(objectOf((await alicesBrowser.report()).url)).toBe(objectOf(after.url))
})

test('a replica that went wrong is wrong in a report until it is repaired, and then its patient is told', async () => {
  const alicesBrowser = await signIn(tendon, 'alice')
  const before = await alicesBrowser.report()
  const warehouse = createWarehouse({
    url: tendon.settings.CLICKHOUSE_URL,
    username: tendon.settings.CLICKHOUSE_USER,
    password: tendon.settings.CLICKHOUSE_PASSWORD,
  })
  await warehouse.command(
    `ALTER TABLE crm.customers UPDATE full_name = 'Mallory' WHERE id = '${alice.customerId}' SETTINGS mutations_sync = 2`,
  )
  await warehouse.close()
  expect(await cdc('verify', 'customers')).toMatchObject({ code: 3 })
  expect(await cdc('verify', 'customers', '--repair')).toMatchObject({
    code: 0,
    // Everybody: who saw the wrong row stood in that row alone.
    stderr: expect.stringMatching(/have changed: \d{2,}\n/),
  })
  const after = await alicesBrowser.report()
  expect(objectOf(after.url)).not.toBe(objectOf(before.url))
  expect(after.data.customer).toEqual(before.data.customer)

  const [rebuilt, bobBefore] = [await cdc('resync', 'customers'), await objectOfBob()]
  expect(rebuilt).toMatchObject({ code: 0, stderr: expect.stringMatching(/have changed: \d+/) })
  expect(await cdc('replay', 'customers')).toMatchObject({ code: 0 })
  expect(await objectOfBob()).not.toBe(bobBefore)
})

test("alice's cookie never yields bob's report, by any address", async () => {
  const { get, report } = await signIn(tendon, 'alice')
  const bobs = bob.customerId
  for (const path of [
    `/api/reports/cdn/${today()}?user_id=${bobs}`,
    `/api/reports/prosthesis-daily/${today()}?user_id=${bobs}`,
    `/api/reports/cdn/${today()}?user_id=${alice.customerId}&user_id=${bobs}`,
    `/api/reports/prosthesis-daily/${today()}%3Fuser_id=${bobs}`,
    `/api/reports/cdn/..%2f${bobs}%2f${today()}`,
    `/api/reports?user_id=${bobs}`,
  ]) {
    const page = await get(path)
    expect(page.text, path).not.toContain(bobs)
    expect(page.text, path).not.toContain(bob.fullName)
    if (page.status === 200) expect(page.text, path).not.toContain(`/${bobs}/`)
    else expect(page.status, path).toBeGreaterThanOrEqual(400)
  }
  const mine = await report()
  expect(mine.envelope.user_id).toBe(alice.customerId)
})

test('without a cookie there is no report, and a signed address is good for its very bytes only', async () => {
  for (const path of [
    '/api/reports',
    `/api/reports/cdn/${today()}`,
    `/api/reports/prosthesis-daily/${today()}`,
  ]) {
    const response = await fetch(new URL(path, tendon.url))
    expect(response.status, path).toBe(401)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
  }
  const { link } = await signIn(tendon, 'alice')
  const { url } = await link()
  expect((await fetch(url)).status).toBe(200)
  for (const at of [url.indexOf('.json') - 1, url.indexOf('exp=') + 5, url.length - 5]) {
    const changed = url.slice(0, at) + (url[at] === '1' ? '2' : '1') + url.slice(at + 1)
    expect((await fetch(changed)).status, `byte ${at} changed`).toBe(403)
  }
  // The same to who decodes it.
  for (const written of [url.replace('/reports/', '/%72eports/'), url.replace('/cdn/', '/%63dn/')])
    expect((await fetch(written)).status, written).toBe(403)
})

test('nothing of this process, or of what it started, listens beyond loopback', async () => {
  const pids = await descendants(process.pid)
  const listening = (await Promise.all(pids.map(listeningAddresses))).flat()
  expect(listening.length).toBeGreaterThanOrEqual(5)
  expect(listening.filter((address) => !isLoopback(address))).toEqual([])
})

test('every metric that an alert or a dashboard asks for is there, and the position is fresh', async () => {
  const page = async () => (await fetch(`${tendon.operationsUrl}/metrics`)).text()
  const exposed = exposedMetrics(await page())
  for (const [file, asked] of askedMetrics()) {
    expect(asked.size, file).toBeGreaterThan(4)
    expect(
      [...asked].filter((name) => !exposed.has(name)),
      file,
    ).toEqual([])
  }
  const positionAgeS = async () => {
    const stored = /^tendon_cdc_position_timestamp_seconds (\S+)$/m.exec(await page())
    return Date.now() / 1000 - Number(stored?.[1])
  }
  await expect.poll(positionAgeS, { timeout: 15_000 }).toBeLessThan(60)
})

test('staff read a report by customer, and have none of their own', async () => {
  const { get } = await signIn(tendon, 'staff')
  const page = await get(`/api/reports/cdn/${today()}?user_id=${bob.customerId}`)
  expect(page.status).toBe(200)
  expect(JSON.parse(page.text).url).toContain(bob.customerId)
  expect((await get(`/api/reports/cdn/${today()}`)).status).toBe(403)
})

test('who asks for a report in a wrong way is told where the right way stands, and finds it there', async () => {
  const { get } = await signIn(tendon, 'alice')
  const refused = await get(`/api/reports/prosthesis-trend/${today()}?days=31`)
  const { code, help } = JSON.parse(refused.text)
  expect([refused.status, code]).toEqual([400, 'TENDON-REPORTS-009'])
  const [, address] = /GET (\/api\S+)/.exec(help)!
  const described = JSON.parse((await get(address!)).text)
  expect(described.paths['/reports/{report}/{date}'].get.parameters).toContainEqual(
    expect.objectContaining({ name: 'days', schema: expect.objectContaining({ enum: ['30', '90'] }) }),
  )
})

test('no token reaches the browser or the log', async () => {
  const { browser, report } = await signIn(tendon, 'alice')
  await report()
  const jwt = /eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/
  expect(browser.seen.join('\n')).not.toMatch(jwt)
  expect(tendon.logLines.join('\n')).not.toMatch(jwt)
  expect(tendon.logLines.length).toBeGreaterThan(10)
})

test('behind the public port, nothing answers without credentials', async () => {
  const { REPORTS_SERVICE_URL, CLICKHOUSE_URL } = tendon.settings
  expect((await fetch(`${REPORTS_SERVICE_URL}/reports`)).status).toBe(401)
  expect((await fetch(`${REPORTS_SERVICE_URL}/invalidate`, { method: 'POST' })).status).toBe(401)
  expect((await fetch(`${CLICKHOUSE_URL}/?query=SELECT%201`)).status).toBe(403)
  for (const address of [tendon.settings.CRM_DATABASE_URL, tendon.settings.TELEMETRY_DATABASE_URL]) {
    const anonymous = new URL(address)
    anonymous.password = 'guessed'
    await expect(inDatabase(anonymous.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/)
  }
})

test('a person may not invalidate, not even the staff, with the very token that their reports are read by', async () => {
  const { REPORTS_SERVICE_URL: service } = tendon.settings
  for (const username of ['alice', 'staff']) {
    const authorization = await userToken(tendon, username)
    const of = `?user_id=${alice.customerId}`
    expect((await fetch(`${service}/reports${of}`, { headers: { authorization } })).status).toBe(200)
    const answer = await fetch(`${service}/invalidate`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ user_id: alice.customerId }),
    })
    expect([answer.status, (await answer.json()).code]).toEqual([403, 'TENDON-REPORTS-006'])
  }
})
