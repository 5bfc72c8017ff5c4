import type { KeyValue } from '@tendon/platform/key-value.ts'
import { createMemoryKeyValue } from '@tendon/platform/key-value-memory.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  daily,
  objectName,
  startTestInstances,
  type TestInstances,
} from '../fixtures/test-instances.fixture.ts'
import { leaseKey, leaseTtlMs } from './single-flight.ts'

const select = 'prosthesis-daily/statistics'

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

test('1,000 first requests at two instances run one SELECT', async () => {
  const instances = [await shared.instance(), await shared.instance()]
  const token = await shared.identity.patient(await shared.addCustomer('Popular'))
  const before = shared.proxy.count(select)
  const links = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => shared.link(instances[n % 2]!, daily, token)),
  )
  expect(shared.proxy.count(select) - before).toBe(1)
  expect(new Set(links.map((link) => link.url)).size).toBe(1)
  expect(links.filter((link) => link.cache === 'miss').length).toBeGreaterThan(1)
})

test('a leader that takes longer than its lease keeps it, and nobody computes beside it', async () => {
  const clock = { ms: 0 }
  const keyValue = createMemoryKeyValue({ now: () => clock.ms })
  let renewals = 0
  const renewing: KeyValue = {
    ...keyValue,
    async acquireLease(key, ttlMs) {
      const lease = await keyValue.acquireLease(key, ttlMs)
      const renew = async () => {
        const isHeld = await lease!.renew()
        renewals += 1
        return isHeld
      }
      return lease && { ...lease, renew }
    },
  }
  const slow = await shared.instance({ keyValue: renewing })
  const other = await shared.instance({ keyValue })
  const token = await shared.identity.patient(await shared.addCustomer('Patient'))
  const reached = Promise.withResolvers<void>()
  const resumed = Promise.withResolvers<void>()
  const before = shared.proxy.count(select)
  shared.proxy.intercept(async ({ name, when }) => {
    if (name !== select || when !== 'before') return
    reached.resolve()
    await resumed.promise
  })

  const links = [shared.link(slow, daily, token)]
  await reached.promise
  links.push(shared.link(other, daily, token))
  for (let times = 1; times <= 3; times += 1) {
    // Nine tenths of the term are over, three times.
    clock.ms += 0.9 * leaseTtlMs
    const renewed = renewals
    await expect.poll(() => renewals).toBeGreaterThan(renewed)
  }
  resumed.resolve()

  const [first, second] = await Promise.all(links)
  expect(second!.url).toBe(first!.url)
  expect(shared.proxy.count(select) - before).toBe(1)
  shared.proxy.intercept(async () => {})
})

test('a leader that died is replaced when its lease ends', async () => {
  const instance = await shared.instance()
  const user = await shared.addCustomer('Orphan')
  const token = await shared.identity.patient(user)
  // What an instance leaves behind that was killed in the middle: the generation and the lease.
  const name = objectName(await shared.link(instance, daily, token))
  await shared.store.delete(name)
  const next = await shared.instance()
  const key = leaseKey(name.replace(/\.json$/, ''))
  expect(leaseTtlMs).toBe(1_000)
  const diedAt = performance.now()
  const orphaned = await shared.keyValue.acquireLease(key, leaseTtlMs)
  const before = shared.proxy.count(select)
  expect(await shared.link(next, daily, token)).toMatchObject({ cache: 'miss' })
  expect(performance.now() - diedAt).toBeGreaterThan(0.9 * leaseTtlMs)
  expect(shared.proxy.count(select) - before).toBe(1)
  expect(await orphaned!.renew()).toBe(false)
})

test('a leader that was paused drops its result and takes that of its successor', async () => {
  const pausing = await shared.instance({ keyValue: withoutRenewals(shared.keyValue) })
  const successor = await shared.instance()
  const user = await shared.addCustomer('Before the pause')
  const token = await shared.identity.patient(user)
  const asked = Promise.withResolvers<void>()
  const resumed = Promise.withResolvers<void>()
  let pauses = 0
  shared.proxy.intercept(async ({ name, when }) => {
    if (name !== select || when !== 'after' || pauses++ > 0) return
    asked.resolve()
    await resumed.promise
  })

  const paused = shared.link(pausing, daily, token)
  await asked.promise
  await shared.putCustomer(user, 'After the pause')
  const published = await shared.link(successor, daily, token)
  resumed.resolve()

  expect(await paused).toMatchObject({ url: published.url, generated_at: published.generated_at })
  expect((await shared.object(published)).data.customer.full_name).toBe('After the pause')
})

test('a leader that was paused publishes nothing while its successor is at it', async () => {
  const lost = Promise.withResolvers<void>()
  const pausing = await shared.instance({ keyValue: withoutRenewals(shared.keyValue, lost.resolve) })
  const successor = await shared.instance()
  const user = await shared.addCustomer('Before the pause')
  const token = await shared.identity.patient(user)
  const [asked, resumed, askedAgain, released] = Array.from({ length: 4 }, () =>
    Promise.withResolvers<void>(),
  ) as PromiseWithResolvers<void>[]
  let selects = 0
  shared.proxy.intercept(async ({ name, when }) => {
    if (name !== select || when !== 'after') return
    selects += 1
    const [reached, goOn] = selects === 1 ? [asked, resumed] : [askedAgain, released]
    reached!.resolve()
    await goOn!.promise
  })

  const paused = shared.link(pausing, daily, token)
  await asked!.promise
  await shared.putCustomer(user, 'After the pause')
  const published = shared.link(successor, daily, token)
  await askedAgain!.promise
  resumed!.resolve()
  await lost.promise
  released!.resolve()

  expect((await paused).url).toBe((await published).url)
  expect((await shared.object(await paused)).data.customer.full_name).toBe('After the pause')
  shared.proxy.intercept(async () => {})
})

test('a leader that was paused after its last renewal does not replace what its successor published', async () => {
  const storing = Promise.withResolvers<void>()
  const resumed = Promise.withResolvers<void>()
  const store: ObjectStore = {
    ...shared.store,
    async put(...object) {
      storing.resolve()
      await resumed.promise
      return shared.store.put(...object)
    },
  }
  const pausing = await shared.instance({ keyValue: withoutRenewals(shared.keyValue), store })
  const user = await shared.addCustomer('Before the pause')
  const token = await shared.identity.patient(user)

  const paused = shared.link(pausing, daily, token)
  await storing.promise
  await shared.putCustomer(user, 'After the pause')
  const published = await shared.link(await shared.instance(), daily, token)
  resumed.resolve()

  expect(await paused).toMatchObject({ url: published.url, generated_at: published.generated_at })
  expect((await shared.object(published)).data.customer.full_name).toBe('After the pause')
})

/** As a process that is stopped sees it: its timer's first renewals never happen, its lease runs out; then `onLost` is called. */
function withoutRenewals(keyValue: KeyValue, onLost = () => {}): KeyValue {
  return {
    ...keyValue,
    async acquireLease(key, ttlMs) {
      const lease = await keyValue.acquireLease(key, ttlMs)
      const endsAt = performance.now() + ttlMs
      async function renew(): Promise<boolean> {
        const isHeld = performance.now() < endsAt || (await lease!.renew())
        if (!isHeld) onLost()
        return isHeld
      }
      return lease && { ...lease, renew }
    },
  }
}
