import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { createEnsureReport } from './computing/ensure-report.ts'
import { createReportTables } from './computing/report-tables.ts'
import { createSingleFlight } from './computing/single-flight.ts'
import type { ReadWarehouse } from './declarations/report.ts'
import { createCurrentFreshness } from './freshness/current-freshness.ts'
import type { Generations } from './generations/generations.ts'
import { createReportGenerations } from './generations/report-generations.ts'
import { createReportLinks, type ReportLinks } from './links/report-links.ts'
import { createReportObjects, type StoredReport } from './objects/report-objects.ts'
import type { ReportsConfig } from './options.ts'
import type { ReportCounts } from './report-counts.ts'

/**
 * From who asks for what to a signed link: the generation, the object of that name, and where there is none its
 * computation, once for all.
 * @param options.nameMaxAgeMs for how long the name of an object is used
 */
export function createReportPipeline(options: {
  config: Pick<ReportsConfig, 'cdnBaseUrl' | 'signingKeys' | 'queryTimeoutMs'>
  generations: Generations
  nameMaxAgeMs: number
  read: ReadWarehouse
  store: ObjectStore
  keyValue: KeyValue
  count: Pick<ReportCounts, 'computation' | 'superseded'>
  log: Log
  now: () => number
}): {
  links: ReportLinks
  /** Resolves when all that is being computed is stored. */
  settled(): Promise<void>
} {
  const { generations, nameMaxAgeMs, read, store, keyValue, count, log, now } = options
  const { cdnBaseUrl, signingKeys, queryTimeoutMs } = options.config
  const objects = createReportObjects(store, now)
  // Freshness and the report's own queries come one after the other; the rest is for the object store.
  const flights = createSingleFlight<StoredReport>({ keyValue, waitLimitMs: 3 * queryTimeoutMs })
  const tables = createReportTables({ objects, keyValue, waitLimitMs: queryTimeoutMs })
  const links = createReportLinks({
    generations: createReportGenerations({ generations, read, maxAgeMs: nameMaxAgeMs, now }),
    ensureReport: createEnsureReport({
      objects,
      flights,
      read,
      now,
      onComputed: (report, seconds) => count.computation.observe({ report }, seconds),
    }),
    objects,
    tables,
    currentFreshness: createCurrentFreshness({ read, waitLimitMs: queryTimeoutMs / 10 }),
    cdnBaseUrl,
    signingKeys,
    now,
    onUnreadable: (name) => log.warn({ name }, 'an object is not a report; another one is made'),
    onSuperseded: () => count.superseded.inc(),
  })
  return {
    links,
    async settled() {
      await Promise.all([flights.settled(), tables.settled()])
    },
  }
}
