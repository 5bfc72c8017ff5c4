import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestInstances, type TestInstances } from '../fixtures/test-instances.fixture.ts'

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

test('while ClickHouse does not answer, who has seen the list has it at once', async () => {
  const instance = await shared.instance()
  const token = await shared.identity.patient(await shared.addCustomer('Patient'))
  const list = async () => (await instance.get('/reports', token)).json()
  const listed = await list()
  const { promise: resumed, resolve: resume } = Promise.withResolvers<void>()
  shared.proxy.intercept(() => resumed)
  const askedAt = performance.now()
  expect(await list()).toEqual(listed)
  // A query may take ten.
  expect(performance.now() - askedAt).toBeLessThan(5_000)
  resume()
})

test('while more wait for ClickHouse than it takes, who has seen the list has it with the days as read last', async () => {
  const instance = await shared.instance()
  const token = await shared.identity.patient(await shared.addCustomer('Listed'))
  const list = async () => (await instance.get('/reports', token)).json()
  const listed = await list()
  const crowd = await shared.identity.patient(await shared.addCustomer('Crowd'))
  // They are let go when the test's parts are.
  shared.proxy.intercept(() => new Promise(() => {}))
  // Three queries each: more than run and wait.
  const refused = Promise.withResolvers<Response>()
  for (let n = 0; n < 100; n += 1) {
    void instance.get('/reports', crowd).then((answer) => answer.status !== 200 && refused.resolve(answer))
  }
  expect(await (await refused.promise).json()).toMatchObject({ status: 503, code: 'TENDON-REPORTS-011' })
  expect(await list()).toEqual(listed)
})
