import { killLeader } from '@tendon/reports-service/fixtures/killed-leader.fixture.ts'
import { startClickHouseProxy } from '@tendon/reports-service/fixtures/test-clickhouse-proxy.fixture.ts'
import { startTestIdentity } from '@tendon/reports-service/fixtures/test-identity.fixture.ts'
import {
  type ServiceProcess,
  startServiceProcess,
} from '@tendon/reports-service/fixtures/test-process.fixture.ts'
import { startTestWarehouse } from '@tendon/reports-service/fixtures/test-warehouse.fixture.ts'
import { z } from 'zod'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { type Measurement, measuredRepeatedly } from '../results.ts'

const repetitions = 5
const path = '/reports/prosthesis-daily/2026-03-14'

export const leaderKilledCase: BenchCase = {
  name: 'leader-killed',
  title: 'reports-service killed (-9) in the SELECT that 1,000 requests wait for at two other processes',
  needs: ['REDIS_URL'],
  timeoutMs: 300_000,
  run: measureTakeover,
}

async function measureTakeover({ scope, say }: BenchContext) {
  const redisUrl = z
    .string('the stack\'s Redis is needed: npm run stack -- up redis; eval "$(npm run -s stack -- env)"')
    .parse(process.env.REDIS_URL)
  const warehouse = await startTestWarehouse()
  scope.defer(() => warehouse.remove())
  const identity = await startTestIdentity()
  scope.defer(() => identity.close())
  const proxy = await startClickHouseProxy(warehouse.server.url)
  scope.defer(() => proxy.close())
  const env = { REDIS_URL: redisUrl, CLICKHOUSE_URL: proxy.url }
  async function start(): Promise<ServiceProcess> {
    const service = await startServiceProcess({ warehouse, issuer: identity.issuer, env })
    scope.defer(() => void service.child.kill('SIGKILL'))
    return service
  }

  const [replacedMs, answeredMs]: [number[], number[]] = [[], []]
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    const token = await identity.patient(await warehouse.addCustomer('Patient'))
    const [leader, second, third] = await Promise.all([start(), start(), start()])
    const killed = await killLeader({ services: [leader, second, third], proxy, path, token })
    if (killed.selects !== 2) throw new Error('The leader was not killed in its SELECT.')
    replacedMs.push(killed.replacedMs)
    answeredMs.push(killed.answeredMs)
    say(`${Math.round(replacedMs.at(-1)!)} ms, ${Math.round(answeredMs.at(-1)!)} ms`)
    for (const { child } of [second, third]) child.kill('SIGKILL')
  }
  const measurements: Measurement[] = [
    measuredRepeatedly('killed → another process begins the SELECT', replacedMs, 'ms'),
    measuredRepeatedly('killed → all 1,000 are answered', answeredMs, 'ms', {
      atMost: 2_000,
    }),
  ]
  return { measurements, servers: {} }
}
