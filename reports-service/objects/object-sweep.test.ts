import { randomUUID } from 'node:crypto'
import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  daily,
  noonMs,
  objectName,
  startTestInstances,
  type TestInstances,
} from '../fixtures/test-instances.fixture.ts'

const dayMs = 86_400_000

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

async function setModified(name: string, atMs: number): Promise<void> {
  await utimes(join(shared.folder, 'objects', `${name}@`), new Date(atMs), new Date(atMs))
}

/** An instance that is the first to sweep. */
const sweeping = () => shared.instance({ keyValue: createMemoryKeyValue() })

test('objects past their age are deleted with their folders, and no others', async () => {
  const service = await shared.instance()
  const [old, young] = await Promise.all(
    [8 * dayMs, 6 * dayMs].map(async (ageMs) => {
      const user = await shared.addCustomer('Aged')
      const link = await shared.link(service, daily, await shared.identity.patient(user))
      await setModified(objectName(link), noonMs - ageMs)
      return { user, name: objectName(link) }
    }),
  )
  await shared.store.put('other/object.json', Buffer.from('{}'), { contentType: 'application/json' })
  await setModified('other/object.json', 0)

  await sweeping()
  await expect.poll(() => shared.store.head(old!.name)).toBeUndefined()
  expect(await shared.store.head(young!.name)).toBeDefined()
  expect(await shared.store.head('other/object.json')).toBeDefined()
  const users = () => readdir(join(shared.folder, 'objects/reports/prosthesis-daily'))
  await expect.poll(users).toEqual([young!.user])
})

test('a store that was away at the start gets its bucket and its rule soon after it is back', async () => {
  let checks = 0
  const ruled = Promise.withResolvers<void>()
  const store = {
    ...shared.store,
    async check() {
      checks += 1
      if (checks === 1) throw new Error('away')
    },
    async expireAfter() {
      ruled.resolve()
      return true
    },
  }
  await shared.instance({ store, keyValue: createMemoryKeyValue() })
  await ruled.promise
  expect(checks).toBe(2)
})

test('a sweep that fails on the way is done again soon, and not after an hour', async () => {
  const user = await shared.addCustomer('Aged too')
  const link = await shared.link(await shared.instance(), daily, await shared.identity.patient(user))
  await setModified(objectName(link), noonMs - 8 * dayMs)
  let deletions = 0
  const store: typeof shared.store = {
    ...shared.store,
    async delete(name) {
      deletions += 1
      if (deletions === 1) throw new Error('away')
      await shared.store.delete(name)
    },
  }
  await shared.instance({ store, keyValue: createMemoryKeyValue() })
  await expect.poll(() => shared.store.head(objectName(link))).toBeUndefined()
})

test('of all instances one sweeps, and the others not within the hour', async () => {
  const memory = createMemoryKeyValue()
  const swept = Promise.withResolvers<void>()
  let sweeps = 0
  const store: typeof shared.store = {
    ...shared.store,
    async *list(prefix) {
      sweeps += 1
      yield* shared.store.list(prefix)
      swept.resolve()
    },
  }
  await shared.instance({ store, keyValue: memory })
  await swept.promise
  // Ends the look that it begins with first.
  await shared.stop(await shared.instance({ store, keyValue: memory }))
  expect(sweeps).toBe(1)
})

test('a day after its generation began a report has a new name, which is good for a day', async () => {
  const token = await shared.identity.patient(await shared.addCustomer('Loyal'))
  const first = await shared.link(await shared.instance(), daily, token)
  const after = (ms: number) => shared.instance({ now: () => noonMs + ms })
  expect((await shared.link(await after(dayMs - 1), daily, token)).cache).toBe('hit')
  const nextDay = await shared.link(await after(dayMs), daily, token)
  expect(nextDay.cache).toBe('miss')
  expect(await shared.link(await after(2 * dayMs - 1), daily, token)).toMatchObject({ cache: 'hit' })
  expect(objectName(nextDay)).not.toBe(objectName(first))
})

test('where objects live for a day, none is handed out that is older than half of one, whatever its report says', async () => {
  const run = { run_seq: '1', run_id: randomUUID(), state: 'succeeded', _version: '3' }
  const at = new Date(noonMs).toISOString()
  await shared.warehouse.insertRows('reports.etl_runs', [{ ...run, started_at: at, finished_at: at }])
  const patient = await shared.identity.patient(await shared.addCustomer('Brief'))
  const staff = await shared.identity.admin()
  const cacheAfter = async (ms: number) => {
    const instance = await shared.instance({ objectMaxAgeDays: 1, now: () => noonMs + ms })
    const links = [
      await shared.link(instance, daily, patient),
      await shared.link(instance, daily.replace('prosthesis-daily', 'fleet'), staff),
    ]
    return links.map(({ cache }) => cache)
  }
  await cacheAfter(0)
  expect(await cacheAfter(dayMs / 2 - 1)).toEqual(['hit', 'hit'])
  expect(await cacheAfter(dayMs / 2)).toEqual(['miss', 'miss'])
})
