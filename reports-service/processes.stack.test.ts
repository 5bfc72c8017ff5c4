import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { reportLink } from '@tendon/contracts/reports-api.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createFolderStore } from '@tendon/platform/object-store-folder.ts'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { killLeader } from './fixtures/killed-leader.fixture.ts'
import { startClickHouseProxy } from './fixtures/test-clickhouse-proxy.fixture.ts'
import { startTestIdentity } from './fixtures/test-identity.fixture.ts'
import { daily, objectName } from './fixtures/test-instances.fixture.ts'
import { type ServiceProcess, startServiceProcess } from './fixtures/test-process.fixture.ts'
import { startTestWarehouse, type TestWarehouse } from './fixtures/test-warehouse.fixture.ts'
import { generationKey } from './generations/generations.ts'

const select = 'prosthesis-daily/statistics'
/** Counted from the kill: the dead leader's lease of a second, then the SELECT, and an answer to each who waited. */
const answeredWithinMs = 2_000
const users: string[] = []

let warehouse: TestWarehouse
let identity: Awaited<ReturnType<typeof startTestIdentity>>
let proxy: Awaited<ReturnType<typeof startClickHouseProxy>>
let keyValue: KeyValue
let start: () => Promise<ServiceProcess>
let first: ServiceProcess
let second: ServiceProcess

beforeAll(async () => {
  const redisUrl = z.string('REDIS_URL is not set').parse(process.env.REDIS_URL)
  keyValue = createRedisKeyValue({ url: redisUrl, log: createLog({ service: 'test', level: 'fatal' }) })
  warehouse = await startTestWarehouse()
  identity = await startTestIdentity()
  proxy = await startClickHouseProxy(warehouse.server.url)
  const env = { REDIS_URL: redisUrl, CLICKHOUSE_URL: proxy.url }
  start = () => startServiceProcess({ warehouse, issuer: identity.issuer, env })
  ;[first, second] = await Promise.all([start(), start()])
})
afterAll(async () => {
  first?.child.kill('SIGKILL')
  second?.child.kill('SIGKILL')
  for (const user of users) await keyValue.delete(generationKey(user))
  await keyValue?.close()
  await proxy?.close()
  await identity?.close()
  await warehouse?.remove()
})

async function patient(): Promise<string> {
  const user = await warehouse.addCustomer('Patient')
  users.push(user)
  return user
}

async function link(service: ServiceProcess, authorization: string) {
  const answer = await fetch(`${service.url}${daily}`, {
    headers: { authorization },
  })
  expect(answer.status, await answer.clone().text()).toBe(200)
  return reportLink.parse(await answer.json())
}

test('two processes that share Redis run one SELECT for 1,000 first requests', async () => {
  const token = await identity.patient(await patient())
  const before = proxy.count(select)
  const links = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => link(n % 2 ? first : second, token)),
  )
  expect(proxy.count(select) - before).toBe(1)
  expect(new Set(links.map(({ url }) => new URL(url).pathname)).size).toBe(1)
})

test('a leader killed (-9) in its SELECT is replaced: 1,000 who wait at two other processes are answered by one SELECT, within 2 s', async () => {
  const user = await patient()
  const token = await identity.patient(user)
  const [leader, second, third] = await Promise.all([start(), start(), start()])
  onTestFinished(() => {
    for (const { child } of [leader, second, third]) child.kill('SIGKILL')
  })
  const { lost, links, selects, replacedMs, answeredMs } = await killLeader({
    services: [leader, second, third],
    proxy,
    path: daily,
    token,
    // What the leader has read is no longer so: whoever is answered with it is answered by the dead.
    beforeKill: () => warehouse.putCustomer(user, 'After the kill'),
  })
  const [replaced, answered] = [replacedMs, answeredMs].map((ms) => `${Math.round(ms)} ms`)
  process.stdout.write(`a killed leader was replaced after ${replaced}, 1,000 answered after ${answered}\n`)

  // Cut off by its death: none was refused, or answered with something else, before.
  const reset = { status: 'rejected', reason: expect.objectContaining({ code: 'ECONNRESET' }) }
  expect(lost).toEqual(Array(101).fill(reset))
  expect(selects).toBe(2)
  expect(answeredMs).toBeLessThan(answeredWithinMs)
  const names = new Set(links.map(objectName))
  expect(names.size).toBe(1)
  const stored = await createFolderStore(join(warehouse.folder, 'objects')).get([...names][0]!)
  expect(gunzipSync(stored!.body).toString()).toContain('After the kill')
})
