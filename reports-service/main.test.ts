import { once } from 'node:events'
import { reportLink } from '@tendon/contracts/reports-api.ts'
import { expect, onTestFinished, test } from 'vitest'
import { startTestIdentity } from './fixtures/test-identity.fixture.ts'
import { startServiceProcess } from './fixtures/test-process.fixture.ts'
import { startTestWarehouse } from './fixtures/test-warehouse.fixture.ts'

test('a process of its own: wired by its environment, ends with SIGTERM', async () => {
  const warehouse = await startTestWarehouse()
  onTestFinished(() => warehouse.remove())
  const identity = await startTestIdentity()
  onTestFinished(() => identity.close())
  const { child, url } = await startServiceProcess({ warehouse, issuer: identity.issuer })
  onTestFinished(() => void child.kill('SIGKILL'))
  expect((await fetch(`${url}/readyz`)).status).toBe(200)

  const authorization = await identity.patient(await warehouse.addCustomer('Ada'))
  const answer = await fetch(`${url}/reports/prosthesis-daily/2026-03-14`, { headers: { authorization } })
  expect(reportLink.parse(await answer.json())).toMatchObject({ cache: 'miss' })
  expect(await (await fetch(`${url}/metrics`)).text()).toContain(
    'tendon_reports_service_links_total{report="prosthesis-daily",cache="miss"} 1',
  )

  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})
