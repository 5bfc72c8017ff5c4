import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { problem } from '@tendon/contracts/problem.ts'
import { type ReportLink, reportLink } from '@tendon/contracts/reports-api.ts'
import { createRedisKeyValue } from '@tendon/platform/key-value-redis.ts'
import { createLog } from '@tendon/platform/log.ts'
import { keysOf } from '@tendon/platform/object-store.suite.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { startNativeStack } from '@tendon/platform/test-native-stack.fixture.ts'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { startDoor } from './fixtures/test-door.fixture.ts'
import {
  daily,
  objectName,
  startTestInstances,
  type TestInstance,
  type TestInstances,
} from './fixtures/test-instances.fixture.ts'
import { generationKey } from './generations/generations.ts'
import { openS3 } from './open-stores.ts'

/** Of its own, for it kills them. */
const servers = await startNativeStack(6_000, ['redis', 'minio'])

const environment = z.object({
  REDIS_URL: z.string(),
  S3_ENDPOINT: z.string(),
  S3_REGION: z.string(),
  S3_ACCESS_KEY_ID: z.string(),
  S3_SECRET_ACCESS_KEY: z.string(),
})
const log = createLog({ service: 'test', level: 'fatal' })
const users: string[] = []

let shared: TestInstances
let doors: Record<'redis' | 'minio', Awaited<ReturnType<typeof startDoor>>>
let store: ObjectStore
let instances: TestInstance[]
const closers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  const env = environment.parse(process.env)
  shared = await startTestInstances()
  doors = {
    redis: await startDoor(new URL(env.REDIS_URL)),
    minio: await startDoor(new URL(env.S3_ENDPOINT)),
  }
  const s3 = {
    s3Region: env.S3_REGION,
    s3Bucket: 'tendon',
    s3AccessKeyId: env.S3_ACCESS_KEY_ID,
    s3SecretAccessKey: env.S3_SECRET_ACCESS_KEY,
    s3ForcePathStyle: true,
  }
  store = openS3({ ...s3, s3Endpoint: env.S3_ENDPOINT })
  await store.check()
  closers.push(async () => {
    for (const user of users) {
      for await (const { key } of store.list(`reports/prosthesis-daily/${user}/`)) await store.delete(key)
    }
  })
  const parts = () => {
    const keyValue = createRedisKeyValue({ url: doors.redis.url, log })
    closers.push(() => keyValue.close())
    return { keyValue, store: openS3({ ...s3, s3Endpoint: doors.minio.url }) }
  }
  instances = [await shared.instance(parts()), await shared.instance(parts())]
})
afterAll(async () => {
  await shared?.close()
  for (const close of closers.reverse()) await close()
  for (const door of Object.values(doors ?? {})) await door.close()
  await servers.remove()
})

async function addCustomer(fullName: string): Promise<string> {
  const user = await shared.addCustomer(fullName)
  users.push(user)
  return user
}

/** The customer's name in the report behind a link: the test writes it as a number that only rises. */
async function numberIn(link: { url: string }): Promise<number> {
  return Number((await shared.object(link, store)).data.customer.full_name)
}

/**
 * Asks, changes and invalidates without a pause while `fault` happens, which is told how many were refused so far;
 * whatever is answered meanwhile is a report that is not older than its user's last invalidation that was confirmed, or
 * a 503 that says when to come back.
 */
async function underLoad(fault: (refused: () => number) => Promise<void>): Promise<void> {
  const user = await addCustomer('0')
  const token = await shared.identity.patient(user)
  const invalidator = await shared.identity.invalidator()
  let isOver = false
  let confirmed = 0
  const counts = { served: 0, refused: 0 }
  /** What was confirmed when each report was asked for last. They are read when the store is back for good. */
  const served = new Map<string, { link: ReportLink; atLeast: number }>()
  let answered = Promise.withResolvers<void>()

  async function change(): Promise<void> {
    for (let n = 1; !isOver; n += 1) {
      const stored = await shared.putCustomer(user, String(n)).then(
        () => true,
        () => false,
      )
      if (!stored) continue
      const answer = await instances[n % 2]!.post('/invalidate', { user_id: user }, invalidator)
      if (answer.status === 200) confirmed = n
      else await expectRefusal(answer)
      // The next one comes with an answer, in the middle of all other requests.
      await answered.promise
      answered = Promise.withResolvers()
    }
  }
  async function ask(instance: TestInstance): Promise<void> {
    while (!isOver) {
      const atLeast = confirmed
      const answer = await instance.get(daily, token)
      if (answer.status === 200) {
        counts.served += 1
        answered.resolve()
        const link = reportLink.parse(await answer.json())
        const before = served.get(objectName(link))?.atLeast ?? 0
        served.set(objectName(link), { link, atLeast: Math.max(before, atLeast) })
      } else {
        counts.refused += 1
        // One that changes overtook leaves the next change to those that were not.
        if ((await expectRefusal(answer)) !== 'TENDON-REPORTS-008') answered.resolve()
      }
    }
    answered.resolve()
  }
  const load = Promise.all([change(), ...Array.from({ length: 6 }, (_, n) => ask(instances[n % 2]!))])
  try {
    await Promise.race([fault(() => counts.refused), load])
    const before = counts.served
    await vi.waitFor(() => expect(counts.served).toBeGreaterThan(before + 10), { timeout: 30_000 })
  } finally {
    isOver = true
    await load
  }
  for (const { link, atLeast } of served.values()) {
    expect(await numberIn(link)).toBeGreaterThanOrEqual(atLeast)
  }
}

async function expectRefusal(answer: Response): Promise<string> {
  const text = await answer.text()
  expect(answer.status, text).toBe(503)
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  const { code } = problem.parse(JSON.parse(text))
  expect(code).toMatch(/^TENDON-(?:PLATFORM-01[12]|REPORTS-0(?:07|08|11))$/)
  expect(text).not.toMatch(/SELECT|ECONN|127\.0\.0\.1/)
  return code
}

type ServerName = 'redis' | 'minio'

/** How each is taken away, and how it comes back. */
const ways: Record<string, { away(name: ServerName): unknown; back(name: ServerName): unknown }> = {
  'cut off': { away: (name) => doors[name].shut(), back: (name) => doors[name].open() },
  // Redis keeps nothing here: it comes back empty.
  'killed (-9)': { away: (name) => servers.kill(name), back: () => servers.up() },
}

test.each(
  Object.keys(ways).flatMap((way) => (['redis', 'minio'] as const).map((name) => [name, way] as const)),
)(
  '%s %s and back under load',
  async (name, way) => {
    const { away, back } = ways[way]!
    await underLoad(async (refused) => {
      for (let times = 0; times < 2; times += 1) {
        const before = refused()
        await away(name)
        await vi.waitFor(() => expect(refused()).toBeGreaterThan(before), 10_000)
        await vi.waitFor(async () => {
          const authorization = await shared.identity.patient(await addCustomer('Newcomer'))
          const answer = await instances[0]!.get(daily, authorization)
          expect(answer.status).toBe(503)
        }, 10_000)
        await back(name)
        await vi.waitFor(async () => {
          const authorization = await shared.identity.patient(await addCustomer('Newcomer'))
          expect((await instances[0]!.get(daily, authorization)).status).toBe(200)
        }, 20_000)
      }
    })
  },
  120_000,
)

test('ClickHouse killed and back under load', async () => {
  await underLoad(async (refused) => {
    const before = refused()
    const restarted = shared.restarted()
    process.kill(shared.server.pid() ?? 0, 'SIGKILL')
    await vi.waitFor(() => expect(refused()).toBeGreaterThan(before), 10_000)
    await restarted
  })
}, 120_000)

test('the bucket itself drops objects of old generations, and no others, by the rule that a service sets when it starts', async () => {
  const dayMs = 86_400_000
  const [old, young, other] = ['reports/old.json', 'reports/young.json', 'other/old.json'] as const
  await putAt(old, Date.now() - 9 * dayMs)
  await putAt(young, Date.now() - 6 * dayMs)
  await putAt(other, Date.now() - 9 * dayMs)
  closers.push(() => Promise.all([young, other].map((key) => store.delete(key))))
  // MinIO removes what has expired when it is next asked for it, or comes by.
  await expect.poll(() => store.head(old), { timeout: 10_000 }).toBeUndefined()
  await expect.poll(() => keysOf(store, old), { timeout: 10_000 }).toEqual([])
  expect([await store.head(young), await store.head(other)]).not.toContain(undefined)
})

/** An object that was written at another time, which MinIO takes from who replicates a bucket. */
async function putAt(Key: string, writtenAtMs: number): Promise<void> {
  const { S3_ENDPOINT: endpoint, S3_REGION: region, ...keys } = environment.parse(process.env)
  const credentials = { accessKeyId: keys.S3_ACCESS_KEY_ID, secretAccessKey: keys.S3_SECRET_ACCESS_KEY }
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials })
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> }
      headers['x-minio-source-replication-request'] = 'true'
      headers['x-minio-source-mtime'] = new Date(writtenAtMs).toISOString()
      return next(args)
    },
    { step: 'build' },
  )
  await client.send(new PutObjectCommand({ Bucket: 'tendon', Key, Body: '{}' }))
  client.destroy()
}

test('generations that are lost cost a computation, and never bring an old report back', async () => {
  const user = await addCustomer('1')
  const token = await shared.identity.patient(user)
  const before = await shared.link(instances[0]!, daily, token)
  await shared.putCustomer(user, '2')
  const redis = createRedisKeyValue({ url: environment.parse(process.env).REDIS_URL, log })
  await redis.delete(generationKey(user))
  await redis.close()
  const after = await shared.link(instances[1]!, daily, token)
  expect(after.cache).toBe('miss')
  expect(objectName(after)).not.toBe(objectName(before))
  expect(await numberIn(after)).toBe(2)
})
