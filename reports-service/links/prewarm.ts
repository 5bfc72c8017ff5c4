import { invalidationMessage, invalidationsChannel } from '@tendon/contracts/invalidations.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import { LRUCache } from 'lru-cache'
import type { LoadedReport, ReportParameters } from '../declarations/report.ts'
import type { ReportLinks } from './report-links.ts'

export type Prewarm = {
  /** Somebody looks at this report: it is to be ready when they look again. */
  seen(report: LoadedReport, parameters: ReportParameters): void
  start(): void
  /** Drops what waits; resolves when what is under way has ended. */
  stop(): Promise<void>
}

type Seen = { report: LoadedReport; parameters: ReportParameters; seenAtMs: number }

const seenForMs = 15 * 60_000
const reportsPerUser = 4
const retryListeningMs = 5_000

/**
 * Computes ahead what somebody who looked lately will ask for again: after an invalidation, as an ETL run brings for
 * many users at once, their next look is a hit.
 *
 * It listens to the invalidations of all instances, and does the reports of whom this one has seen, one after the other
 * so that requests have ClickHouse for themselves. A user who is invalidated again while waiting keeps the one place;
 * what fails is left to the request that may come.
 */
export function createPrewarm(options: {
  keyValue: KeyValue
  links: ReportLinks
  /** The most that are remembered, and so the most that can wait; 0 switches it off. */
  users: number
  now: () => number
  log: Log
  onPrewarmed: (outcome: 'done' | 'failed') => void
}): Prewarm {
  const { keyValue, links, users, now, log, onPrewarmed } = options
  const seenByUser = new LRUCache<string, Map<string, Seen>>({ max: Math.max(users, 1) })
  const waiting = new Set<string>()
  let working: Promise<void> | undefined
  let retry: NodeJS.Timeout | undefined
  let isStopped = false

  function hear(text: string): void {
    for (const [userId] of invalidationMessage.parse(JSON.parse(text))) {
      if (seenByUser.has(userId)) waiting.add(userId)
    }
    if (waiting.size > 0 && !isStopped) {
      working ??= work().finally(() => {
        working = undefined
      })
    }
  }

  async function work(): Promise<void> {
    for (const userId of waiting) {
      waiting.delete(userId)
      for (const { report, parameters, seenAtMs } of seenByUser.get(userId)?.values() ?? []) {
        if (isStopped) return
        if (now() - seenAtMs > seenForMs) continue
        await links(report, parameters, 'json').then(
          () => onPrewarmed('done'),
          (err: unknown) => {
            log.info({ err, report: report.name }, 'a report was not computed ahead')
            onPrewarmed('failed')
          },
        )
      }
    }
  }

  function listen(): void {
    // What was missed while the connection was away is computed when it is asked for.
    keyValue
      .subscribe(invalidationsChannel, { onMessage: hear, onResume: () => {} })
      .catch((err: unknown) => {
        if (isStopped) return
        log.warn({ err }, 'invalidations are not heard; trying again')
        retry = setTimeout(listen, retryListeningMs).unref()
      })
  }

  return {
    seen(report, parameters) {
      const { user_id, date, chosen } = parameters
      if (users === 0 || user_id === null) return
      const reports = seenByUser.get(user_id) ?? new Map<string, Seen>()
      const name = JSON.stringify([report.name, date, chosen])
      reports.delete(name)
      reports.set(name, { report, parameters, seenAtMs: now() })
      const [oldest] = reports.keys()
      if (reports.size > reportsPerUser && oldest !== undefined) reports.delete(oldest)
      seenByUser.set(user_id, reports)
    },
    start() {
      if (users > 0) listen()
    },
    async stop() {
      isStopped = true
      clearTimeout(retry)
      await working
    },
  }
}
