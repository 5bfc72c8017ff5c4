import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestInstances, type TestInstances } from './test-instances.fixture.ts'

let shared: TestInstances
beforeAll(async () => {
  shared = await startTestInstances()
})
afterAll(() => shared?.close())

test('while more wait for ClickHouse than it takes, who has seen the list has it with the days as read last', async () => {
  const instance = await shared.instance()
  const token = await shared.identity.patient(await shared.addCustomer('Listed'))
  const list = async () => (await instance.get('/reports', token)).json()
  const listed = await list()
  const crowd = await shared.identity.patient(await shared.addCustomer('Crowd'))
  const { promise: resumed, resolve: resume } = Promise.withResolvers<void>()
  shared.proxy.intercept(() => resumed)
  // Three queries each: more than run and wait.
  const refused = Promise.withResolvers<Response>()
  const asked = Array.from({ length: 100 }, async () => {
    const answer = await instance.get('/reports', crowd)
    if (answer.status !== 200) refused.resolve(answer)
  })
  expect(await (await refused.promise).json()).toMatchObject({ status: 503, code: 'TENDON-REPORTS-011' })
  expect(await list()).toEqual(listed)
  resume()
  await Promise.all(asked)
})
