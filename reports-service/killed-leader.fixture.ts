import { once } from 'node:events'
import { request } from 'node:http'
import { json } from 'node:stream/consumers'
import { type ReportLink, reportLink } from '@tendon/contracts/reports-api.ts'
import type { startClickHouseProxy } from './test-clickhouse-proxy.fixture.ts'
import type { ServiceProcess } from './test-process.fixture.ts'

const waiting = 1_000
const select = 'prosthesis-daily/statistics'

export type KilledLeader = {
  /** Outcomes of those who had asked the dead one. */
  lost: PromiseSettledResult<ReportLink>[]
  /** What those who waited at the other two were answered. */
  links: ReportLink[]
  selects: number
  /** From the kill until another process begins the SELECT, and until all are answered. */
  replacedMs: number
  answeredMs: number
}

/**
 * Holds a process in the SELECT of a report, has 1,000 wait for the same at two others and 100 more at itself, and kills
 * it (-9).
 * @param options.path of a daily report
 * @param options.beforeKill done when all wait
 */
export async function killLeader(options: {
  services: [leader: ServiceProcess, second: ServiceProcess, third: ServiceProcess]
  proxy: Awaited<ReturnType<typeof startClickHouseProxy>>
  path: string
  token: string
  beforeKill?: () => Promise<void>
}): Promise<KilledLeader> {
  const { proxy, path, token, beforeKill } = options
  const [leader, second, third] = options.services
  const computing = Promise.withResolvers<void>()
  const killed = Promise.withResolvers<void>()
  let selects = 0
  let replacedAtMs = 0
  proxy.intercept(({ name, when }) => {
    if (name !== select) return Promise.resolve()
    if (when === 'before') replacedAtMs = performance.now()
    if (when === 'before' || selects++ > 0) return Promise.resolve()
    computing.resolve()
    return killed.promise
  })
  try {
    const asked = [answerOf(leader, path, token)]
    await computing.promise
    asked.push(...Array.from({ length: 100 }, () => answerOf(leader, path, token)))
    const lost = Promise.allSettled(asked)
    const answers = Array.from({ length: waiting }, (_, n) => answerOf(n % 2 ? third : second, path, token))
    await Promise.all([
      leader.arrived(path, asked.length),
      second.arrived(path, waiting / 2),
      third.arrived(path, waiting / 2),
    ])
    await beforeKill?.()
    leader.child.kill('SIGKILL')
    const killedAtMs = performance.now()
    killed.resolve()
    const links = await Promise.all(answers)
    const answeredMs = performance.now() - killedAtMs
    return { lost: await lost, links, selects, replacedMs: replacedAtMs - killedAtMs, answeredMs }
  } finally {
    proxy.intercept(async () => {})
  }
}

/** Of a request on a connection of its own, as of so many browsers. */
async function answerOf(service: ServiceProcess, path: string, authorization: string): Promise<ReportLink> {
  const asked = request(`${service.url}${path}`, { agent: false, headers: { authorization } }).end()
  const [response] = await once(asked, 'response')
  return reportLink.parse(await json(response))
}
