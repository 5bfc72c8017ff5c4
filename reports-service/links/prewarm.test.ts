import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { daily, noonMs, startTestInstances, type TestInstances } from '../fixtures/test-instances.fixture.ts'

const select = 'prosthesis-daily/statistics'
const eventually = { timeout: 20_000 }

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

test('who looked lately finds the new report ready after an invalidation, whichever instance it came to', async () => {
  const warm = await shared.instance({ prewarmUsers: 10 })
  const other = await shared.instance()
  const seen = await shared.addCustomer('Seen')
  const unseen = await shared.addCustomer('Unseen')
  const token = await shared.identity.patient(seen)
  await shared.link(warm, daily, token)
  await shared.link(other, daily, await shared.identity.patient(unseen))
  await shared.putCustomer(seen, 'Changed')
  const before = shared.proxy.count(select)
  await shared.invalidate(other, { user_ids: [seen, unseen] })
  await vi.waitFor(() => expect(shared.proxy.count(select)).toBe(before + 1), eventually)
  const link = await vi.waitFor(async () => {
    const found = await shared.link(other, daily, token)
    expect(found.cache).toBe('hit')
    return found
  }, eventually)
  expect((await shared.object(link)).data.customer.full_name).toBe('Changed')
  expect(shared.proxy.count(select)).toBe(before + 1)
})

test('one after the other, those seen last only, each once however often invalidated; a stop drops the rest', async () => {
  const warm = await shared.instance({ prewarmUsers: 3 })
  const users: string[] = []
  for (const name of ['forgotten', 'a', 'b', 'c']) {
    const user = await shared.addCustomer(name)
    users.push(user)
    await shared.link(warm, daily, await shared.identity.patient(user))
  }
  const first = Promise.withResolvers<void>()
  const resumed = Promise.withResolvers<void>()
  let [running, most, asked] = [0, 0, 0]
  shared.proxy.intercept(async ({ name, when }) => {
    if (name !== select) return
    running += when === 'before' ? 1 : -1
    most = Math.max(most, running)
    if (when === 'after' || asked++ > 0) return
    first.resolve()
    await resumed.promise
  })
  await shared.invalidate(warm, { user_ids: users })
  await first.promise
  for (let times = 0; times < 3; times += 1) await shared.invalidate(warm, { user_ids: users.slice(2) })
  resumed.resolve()
  // The first of them, and the two others once each: the one not remembered is not computed.
  await vi.waitFor(() => expect(asked).toBe(3), eventually)
  const stopping = await shared.instance({ prewarmUsers: 3 })
  const paused = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  for (const user of users.slice(1)) await shared.link(stopping, daily, await shared.identity.patient(user))
  const askedBefore = asked
  shared.proxy.intercept(async ({ name, when }) => {
    if (name !== select || when !== 'before') return
    asked += 1
    reached.resolve()
    await paused.promise
  })
  // Heard by both instances, of whom the other one waits for the first's report.
  await shared.invalidate(stopping, { user_ids: users.slice(1) })
  await reached.promise
  const stopped = Promise.all([shared.stop(stopping), shared.stop(warm)])
  paused.resolve()
  await stopped
  expect(asked - askedBefore).toBe(1)
  expect(most).toBe(1)
})

test('who looked longer ago is left to look again, and of each user the reports seen last alone', async () => {
  const clock = { ms: noonMs }
  const warm = await shared.instance({ prewarmUsers: 10, now: () => clock.ms })
  const late = await shared.addCustomer('Late')
  const busy = await shared.addCustomer('Busy')
  await shared.link(warm, daily, await shared.identity.patient(late))
  clock.ms += 15 * 60_000 + 1
  const busyToken = await shared.identity.patient(busy)
  const seen = ['2026-03-13', '2026-03-12', '2026-03-11', '2026-03-10', '2026-03-09']
  for (const day of seen) await shared.link(warm, `/reports/prosthesis-daily/${day}`, busyToken)
  const before = shared.proxy.count(select)
  // In this order, one after the other.
  await shared.invalidate(warm, { user_ids: [late, busy] })
  const stored = (user: string) => Array.fromAsync(shared.store.list(`reports/prosthesis-daily/${user}/`))
  await vi.waitFor(async () => expect(await stored(busy)).toHaveLength(5 + 4), eventually)
  expect(await stored(late)).toHaveLength(1)
  expect(shared.proxy.count(select)).toBe(before + 4)
  const oldest = `/reports/prosthesis-daily/${seen[0]}`
  expect(await shared.link(warm, oldest, busyToken)).toMatchObject({ cache: 'miss' })
})
