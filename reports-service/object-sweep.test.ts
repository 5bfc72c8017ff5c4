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
} from './test-instances.fixture.ts'

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

test('what is handed out outlives its link: half of the age before it may be swept, it has a new name', async () => {
  const token = await shared.identity.patient(await shared.addCustomer('Loyal'))
  const first = await shared.link(await shared.instance(), daily, token)
  const after = (ms: number) => shared.instance({ now: () => noonMs + ms })
  expect((await shared.link(await after(3.5 * dayMs - 1), daily, token)).cache).toBe('hit')
  const later = await shared.link(await after(3.5 * dayMs), daily, token)
  expect(later.cache).toBe('miss')
  expect(objectName(later)).not.toBe(objectName(first))
  expect(await shared.link(await after(7 * dayMs - 1), daily, token)).toMatchObject({ cache: 'hit' })
})
