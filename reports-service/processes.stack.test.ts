import { reportLink } from '@tendon/contracts/reports-api.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { generationKey } from './generations.ts'
import { startClickHouseProxy } from './test-clickhouse-proxy.fixture.ts'
import { startTestIdentity } from './test-identity.fixture.ts'
import { type ServiceProcess, startServiceProcess } from './test-process.ts'
import { startTestWarehouse, type TestWarehouse } from './test-warehouse.fixture.ts'

const select = 'prosthesis-daily/customer'
const users: string[] = []

let warehouse: TestWarehouse
let identity: Awaited<ReturnType<typeof startTestIdentity>>
let proxy: Awaited<ReturnType<typeof startClickHouseProxy>>
let keyValue: KeyValue
let first: ServiceProcess
let second: ServiceProcess

beforeAll(async () => {
  const redisUrl = z.string('REDIS_URL is not set').parse(process.env.REDIS_URL)
  keyValue = createRedisKeyValue({ url: redisUrl, log: createLog({ service: 'test', level: 'fatal' }) })
  warehouse = await startTestWarehouse()
  identity = await startTestIdentity()
  proxy = await startClickHouseProxy(warehouse.server.url)
  const env = { REDIS_URL: redisUrl, CLICKHOUSE_URL: proxy.url }
  const start = () => startServiceProcess({ warehouse, issuer: identity.issuer, env })
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
  return identity.patient(user)
}

async function link(service: ServiceProcess, authorization: string) {
  const answer = await fetch(`${service.url}/reports/prosthesis-daily/2026-03-14`, {
    headers: { authorization },
  })
  expect(answer.status, await answer.clone().text()).toBe(200)
  return reportLink.parse(await answer.json())
}

test('two processes that share Redis run one SELECT for 1,000 first requests', async () => {
  const token = await patient()
  const before = proxy.count(select)
  const links = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => link(n % 2 ? first : second, token)),
  )
  expect(proxy.count(select) - before).toBe(1)
  expect(new Set(links.map(({ url }) => new URL(url).pathname)).size).toBe(1)
})

test('a process killed while it computes is replaced by the one that waits', async () => {
  const token = await patient()
  const before = proxy.count(select)
  const computing = Promise.withResolvers<void>()
  const killed = Promise.withResolvers<void>()
  proxy.intercept(({ name, when }) => {
    if (name !== select || when !== 'after') return Promise.resolve()
    computing.resolve()
    return killed.promise
  })

  const lost = link(first, token).catch((error: unknown) => error)
  await computing.promise
  const waiting = link(second, token)
  first.child.kill('SIGKILL')
  expect(await lost).toBeInstanceOf(TypeError)
  killed.resolve()

  const startedAt = performance.now()
  expect(await waiting).toMatchObject({ cache: 'miss' })
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  expect(proxy.count(select) - before).toBe(2)
})
