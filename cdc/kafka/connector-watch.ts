import { setTimeout as delay } from 'node:timers/promises'
import type { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import { cdcErrors } from '../errors.ts'
import type { FeedMetrics } from '../feed-metrics.ts'
import type { Connector, ConnectorStatus } from './connect-rest.ts'
import { lostChangesOf } from './connector-history.ts'

const intervalMs = 1_000
/** What fails again and again is left failed for longer and longer, for `status` to say why, and for the others' sake. */
const pausesMs = [0, 0, 5_000, 10_000, 20_000, 40_000]
/** A connector that has run for that long has nothing to do with its failures of before. */
const forgottenAfterMs = 60_000
const startMs = 5_000
/** While the workers of Connect rebalance, one of them may not know it. */
const looksUntilMissing = 10

/**
 * Restarts what has failed, and says why.
 * @throws TENDON-CDC-004 when the connector has lost its slot, TENDON-CDC-018 when it is gone, TENDON-CDC-025 when it cannot
 *   read a change: it has to be made anew
 */
export async function watchConnector(options: {
  connector: Connector
  name: string
  connectUrl: string
  signal: AbortSignal
  log: Log
  metrics: FeedMetrics
}): Promise<never> {
  const { connector, name, connectUrl, signal, log, metrics } = options
  let missing = 0
  let failures = 0
  let restartedAt = Number.NEGATIVE_INFINITY
  for (;;) {
    await delay(intervalMs, undefined, { signal })
    const status = await connector.status().catch((err) => {
      log.warn({ err, connect_url: connectUrl }, 'Kafka Connect does not answer')
      return 'unknown' as const
    })
    metrics.connectorRunning(name, typeof status === 'object' && isRunning(status))
    if (status === 'unknown') continue
    missing = status ? 0 : missing + 1
    if (missing > looksUntilMissing) throw cdcErrors.connectorFailed('The connector is not there any more.')
    const lost = lostChangesOf(status)
    if (lost) {
      log.error({ error_code: lost.code, trace: traceOf(status) }, 'the connector cannot go on')
      throw lost
    }
    if (status?.state === 'FAILED' || status?.task?.state === 'FAILED') {
      failures = performance.now() - restartedAt < forgottenAfterMs ? failures + 1 : 0
      const pauseMs = pausesMs[failures] ?? pausesMs.at(-1)!
      log.error(
        { error_code: failureOf(status).code, trace: traceOf(status), pause_ms: pauseMs },
        'the connector has failed, restarting it',
      )
      await delay(pauseMs, undefined, { signal })
      await connector.restart()
      restartedAt = performance.now()
      await delay(startMs, undefined, { signal })
    }
  }
}

/** What has failed, and why: the causes stand further down. */
export const traceOf = (status: ConnectorStatus | undefined): string[] | undefined =>
  status?.task?.trace?.split('\n').filter((line, at) => at < 4 || line.startsWith('Caused by'))

/** Why one does not run. */
export function failureOf(status: ConnectorStatus): TendonError {
  const trace = status.task?.trace ?? ''
  const tooLarge = /RecordTooLargeException: (.*)/.exec(trace)?.[1]
  if (tooLarge) return cdcErrors.messageTooLarge(`The connector cannot hand a change to Kafka: ${tooLarge}`)
  const denied = /permission denied for \w+ .+/.exec(trace)?.[0]
  if (denied) return cdcErrors.tableNotReadable(`PostgreSQL refuses the connector's user: ${denied}.`)
  return cdcErrors.connectorFailed(
    `The connector is ${status.state}, its task ${status.task?.state ?? 'not made'}.`,
  )
}

export const isRunning = (status: ConnectorStatus): boolean =>
  status.state === 'RUNNING' && status.task?.state === 'RUNNING'
