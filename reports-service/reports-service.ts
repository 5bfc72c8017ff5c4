import { randomBytes } from 'node:crypto'
import { type Invalidation, invalidationsChannel } from '@tendon/contracts/invalidations.ts'
import type { AccessTokenVerifier } from '@tendon/platform/access-token.ts'
import { createHttpApp, type HttpApp } from '@tendon/platform/http-app.ts'
import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Metrics } from '@tendon/platform/metrics.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { addRoutes } from './api/routes.ts'
import { createReadWarehouse } from './computing/read-warehouse.ts'
import { loadDeclaredReports } from './declarations/load-reports.ts'
import type { LoadedReport } from './declarations/report.ts'
import { createGenerations } from './generations/generations.ts'
import { createPrewarm } from './links/prewarm.ts'
import { createFindReportDays } from './links/report-days.ts'
import { createObjectSweep } from './objects/object-sweep.ts'
import type { ReportsConfig } from './options.ts'
import { createReportCounts } from './report-counts.ts'
import { createReportPipeline } from './report-pipeline.ts'

export type ReportsService = {
  app: HttpApp
  /** Loads the declared reports, begins what runs in the background; requests come after it. @throws TENDON-REPORTS-013 */
  start(): Promise<void>
  /** Ends it, and waits until reports that are being computed are stored. */
  stop(): Promise<void>
}

// Of one instance. At some 10 ms a query and 8 at once, the last one in the queue waits for a third of a second.
const queueLimit = 256

/**
 * Declared reports as immutable objects: whoever asks gets a signed link, and the report is computed when there
 * is none of the user's present generation. Instances share nothing but the stores.
 * @param options.warehouse, store, keyValue belong to the caller, who closes them
 */
export function createReportsService(options: {
  config: ReportsConfig
  warehouse: Warehouse
  store: ObjectStore
  keyValue: KeyValue
  verifyAccessToken: AccessTokenVerifier
  log: Log
  metrics: Metrics
  /** Milliseconds. */
  now?: () => number
  random?: (bytes: number) => Buffer
}): ReportsService {
  const { config, warehouse, store, keyValue, verifyAccessToken, log, metrics } = options
  const { now = Date.now, random = randomBytes } = options
  const { concurrentQueries, queryTimeoutMs: timeoutMs } = config
  const objectMaxAgeMs = config.objectMaxAgeDays * 86_400_000
  // The other half is for links that are still good when their name is used no longer, and for clocks that differ.
  const nameMaxAgeMs = objectMaxAgeMs / 2
  const count = createReportCounts(metrics)

  const read = createReadWarehouse({ warehouse, concurrentQueries, queueLimit, timeoutMs })
  const generations = createGenerations({ keyValue, now, random })
  const { links, settled } = createReportPipeline({
    config,
    generations,
    nameMaxAgeMs,
    read,
    store,
    keyValue,
    count,
    log,
    now,
  })
  const prewarm = createPrewarm({
    keyValue,
    links,
    users: config.prewarmUsers,
    now,
    log,
    onPrewarmed: (outcome) => count.prewarmed.inc({ outcome }),
  })
  const sweep = createObjectSweep({ store, keyValue, maxAgeMs: objectMaxAgeMs, now, log })

  const reports = new Map<string, LoadedReport>()
  const app = createHttpApp({
    log,
    metrics,
    ready: () => Promise.all([warehouse.ping(), store.check(), keyValue.check()]),
  })
  addRoutes(app, {
    reports,
    verifyAccessToken,
    links,
    findDays: createFindReportDays({ read, waitLimitMs: timeoutMs / 10 }),
    read,
    now,
    async invalidate(userIds) {
      const renewed = await generations.renew(userIds)
      await keyValue.publish(invalidationsChannel, invalidationMessages(renewed))
    },
    onLink(report, parameters, cache) {
      count.links.inc({ report: report.name, cache })
      prewarm.seen(report, parameters)
    },
    onInvalidated: (users) => count.invalidated.inc(users),
  })

  return {
    app,
    async start() {
      const declared = await loadDeclaredReports()
      for (const [name, report] of declared) reports.set(name, report)
      log.info({ reports: [...reports.keys()] }, 'reports loaded')
      sweep.start()
      prewarm.start()
    },
    async stop() {
      await Promise.all([sweep.stop(), prewarm.stop()])
      await settled()
    },
  }
}

/** Small enough that whoever listens is not held up by one of them. */
const usersPerMessage = 1_000

function invalidationMessages(renewed: Invalidation): string[] {
  const messages: string[] = []
  for (let start = 0; start < renewed.length; start += usersPerMessage) {
    messages.push(JSON.stringify(renewed.slice(start, start + usersPerMessage) satisfies Invalidation))
  }
  return messages
}
