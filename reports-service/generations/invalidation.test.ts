import { randomUUID } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { invalidationMessage, invalidationsChannel } from '@tendon/contracts/invalidations.ts'
import { reportLink } from '@tendon/contracts/reports-api.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  daily,
  objectName,
  startTestInstances,
  type TestInstance,
  type TestInstances,
  today,
} from '../fixtures/test-instances.fixture.ts'
import { sweepKey } from '../objects/object-sweep.ts'
import { generationKey } from './generations.ts'

let shared: TestInstances
let other: TestInstance
beforeAll(async () => {
  shared = await startTestInstances()
  other = await shared.instance()
})
afterAll(() => shared?.close())

/** Called at each place where a request waits for another part, with the place's name and how often it came there. */
type OnStep = (step: string) => Promise<void>

/** An instance whose every wait for the object store, the key-value store and ClickHouse is a step. */
async function steppedInstance(onStep: OnStep): Promise<TestInstance> {
  const visits = new Map<string, number>()
  const visitStep = (place: string) => {
    visits.set(place, (visits.get(place) ?? 0) + 1)
    return onStep(`${place} (${visits.get(place)})`)
  }
  const stepped = <Port extends object>(name: string, port: Port): Port =>
    new Proxy(port, {
      get:
        (target, method) =>
        async (...parameters: unknown[]) => {
          // What an instance does in the background is no step of the request.
          const isBackground = parameters[0] === sweepKey || method === 'check' || method === 'expireAfter'
          const visit = isBackground ? async () => {} : visitStep
          await visit(`before ${name}.${String(method)}`)
          const called = Reflect.get<object, PropertyKey>(target, method) as (
            ...parameters: unknown[]
          ) => unknown
          const result = await Reflect.apply(called, target, parameters)
          await visit(`after ${name}.${String(method)}`)
          return result
        },
    })
  shared.proxy.intercept(({ name, when }) => visitStep(`${when} SELECT ${name}`))
  return shared.instance({
    // Nobody stops waiting because a step takes its time.
    queryTimeoutMs: 60_000,
    store: stepped('store', shared.store),
    keyValue: stepped('keyValue', shared.keyValue),
  })
}

/** The events of its only row, as the object of the link itself says. */
async function eventsIn(link: { url: string }, format: 'json' | 'csv'): Promise<number> {
  const text = gunzipSync((await shared.store.get(objectName(link)))!.body).toString()
  if (format === 'json') return JSON.parse(text).rows[0].events
  const [columns, row] = text.split('\r\n').map((line) => line.split(','))
  return Number(row![columns!.indexOf('events')])
}

describe.each([
  ['miss', 'json'],
  ['hit', 'json'],
  ['hot hit', 'json'],
  ['miss', 'csv'],
] as const)('a change and its invalidation during a %s of %s', (cache, format) => {
  const path = `${daily}?format=${format}`

  /** Asks once; at one step the data change and are invalidated by another instance. */
  async function request(changeAt: string | undefined) {
    const steps: string[] = []
    const user = await shared.addCustomer('Patient')
    const putEvents = (events: number) =>
      shared.warehouse.insertRows('reports.user_prosthesis_stats', [
        { user_id: user, prosthesis_id: user, day: today, events, _version: String(events) },
      ])
    await shared.warehouse.insertRows('crm.prostheses', [
      { id: user, customer_id: user, model_id: 1, issued_at: '2026-01-01', _version: '1' },
    ])
    await putEvents(1)
    const token = await shared.identity.patient(user)
    if (cache === 'hit') await shared.link(other, path, token)
    let changed = false
    let isAsked = false
    const instance = await steppedInstance(async (step) => {
      if (!isAsked) return
      steps.push(step)
      if (step !== changeAt || changed) return
      changed = true
      await putEvents(2)
      await shared.invalidate(other, { user_id: user })
    })
    // What an instance has seen itself it remembers.
    if (cache === 'hot hit') await shared.link(instance, path, token)
    isAsked = true
    const link = await shared.link(instance, path, token)
    shared.proxy.intercept(async () => {})
    return { steps, changed, events: await eventsIn(link, format), link }
  }

  test('is seen, at whichever step it comes', async () => {
    const undisturbed = await request(undefined)
    expect(undisturbed).toMatchObject({ events: 1, link: { cache: cache === 'miss' ? 'miss' : 'hit' } })
    expect(undisturbed.steps.length).toBeGreaterThanOrEqual({ miss: 20, hit: 6, 'hot hit': 4 }[cache])
    // Once its last wait is over the answer is on its way, and nothing can call it back.
    const last = undisturbed.steps.findLastIndex((step) => step.startsWith('before'))
    for (const step of undisturbed.steps.slice(0, last + 1)) {
      expect(await request(step), step).toMatchObject({ changed: true, events: 2 })
    }
  })
})

test('a user whose data never rest gets 503 with Retry-After, and the report once they do', async () => {
  const user = await shared.addCustomer('Restless')
  const token = await shared.identity.patient(user)
  let restless = true
  const instance = await steppedInstance(async (step) => {
    if (restless && step.startsWith('after store.put')) await shared.invalidate(other, { user_id: user })
  })
  const refused = await instance.get(daily, token)
  expect(refused.status).toBe(503)
  expect(refused.headers.get('retry-after')).toBe('1')
  expect(await refused.json()).toMatchObject({ code: 'TENDON-REPORTS-008' })
  restless = false
  expect(await shared.link(instance, daily, token)).toBeDefined()
  shared.proxy.intercept(async () => {})
})

test('under load, nobody is served what was computed before an invalidation they came after', async () => {
  const instances = [await shared.instance(), other]
  const user = await shared.addCustomer('0')
  const token = await shared.identity.patient(user)
  const lastChange = 40
  let invalidated = 0
  let answered = Promise.withResolvers<void>()

  async function change(): Promise<void> {
    for (let n = 1; n <= lastChange; n += 1) {
      await shared.putCustomer(user, String(n))
      await shared.invalidate(instances[n % 2]!, { user_ids: [user] })
      invalidated = n
      // The next change comes with the first answer, in the middle of all other requests.
      await answered.promise
      answered = Promise.withResolvers<void>()
    }
  }
  async function ask(instance: TestInstance): Promise<void> {
    while (invalidated < lastChange) {
      const asked = invalidated
      const answer = await instance.get(daily, token)
      // One that five changes overtook is refused and not served stale: that is right too.
      if (answer.status === 503) continue
      const link = reportLink.parse(await answer.json())
      expect(Number((await shared.object(link)).data.customer.full_name)).toBeGreaterThanOrEqual(asked)
      answered.resolve()
    }
    answered.resolve()
  }
  await Promise.all([change(), ...Array.from({ length: 8 }, (_, n) => ask(instances[n % 2]!))])
})

describe('POST /invalidate', () => {
  test('takes one id, or 100,000 at once', async () => {
    const users = Array.from({ length: 100_000 }, () => randomUUID())
    expect(await shared.invalidate(other, { user_id: users[0] })).toBe(1)
    expect(await shared.invalidate(other, { user_ids: users })).toBe(100_000)
    expect(await shared.invalidate(other, { user_ids: [users[0], users[0]?.toUpperCase()] })).toBe(1)
    expect(await shared.invalidate(other, { user_ids: [] })).toBe(0)
  })

  test('tells who listens of each user, and the generation that is theirs from then on', async () => {
    const users = Array.from({ length: 2_500 }, () => randomUUID())
    const told = new Map<string, string>()
    const unsubscribe = await shared.keyValue.subscribe(invalidationsChannel, {
      onMessage(message) {
        for (const [user, generation] of invalidationMessage.parse(JSON.parse(message)))
          told.set(user, generation)
      },
      onResume() {},
    })
    const instance = await shared.instance()
    await shared.invalidate(instance, { user_ids: users })
    await expect.poll(() => told.size).toBe(users.length)
    await unsubscribe()
    expect(await (await instance.get('/metrics')).text()).toContain(
      'tendon_reports_service_invalidated_users_total 2500',
    )
    for (const user of users) expect(told.get(user)).toBe(await shared.keyValue.get(generationKey(user)))
  })

  test('refuses who has not the role, and what is no list of ids', async () => {
    const token = await shared.identity.invalidator()
    const user_id = randomUUID()
    const refusals = [
      [await other.post('/invalidate', { user_id }), 401, 'TENDON-PLATFORM-005'],
      [await other.post('/invalidate', { user_id }, await shared.identity.patient(user_id)), 403],
      [await other.post('/invalidate', { user_id }, await shared.identity.admin()), 403],
      [await other.post('/invalidate', '{', token), 400, 'TENDON-REPORTS-009'],
      [await other.post('/invalidate', { user_id: 'x' }, token), 400, 'TENDON-REPORTS-009'],
      [await other.post('/invalidate', { user_ids: [], user_id }, token), 400, 'TENDON-REPORTS-009'],
      [await other.post('/invalidate', { user_ids: Array(100_001).fill(user_id) }, token), 400],
      [await other.post('/invalidate', ' '.repeat(9_000_000), token), 413, 'TENDON-REPORTS-010'],
      // Of which it is not said before how long it is.
      [
        await other.app.request('/invalidate', {
          method: 'POST',
          body: new Blob([' '.repeat(9_000_000)]).stream(),
          headers: { authorization: token },
          duplex: 'half',
        } as RequestInit),
        413,
        'TENDON-REPORTS-010',
      ],
    ] as const
    for (const [answer, status, code] of refusals) {
      expect(await answer.json()).toMatchObject({ status, ...(code && { code }) })
    }
  })
})
