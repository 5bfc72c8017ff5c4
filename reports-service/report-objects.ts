import { type ReportEnvelope, reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { LRUCache } from 'lru-cache'
import type { LoadedReport, ReportParameters } from './report.ts'

/** What a link says about the report behind it. */
export type StoredReport = Pick<ReportEnvelope, 'generated_at' | 'freshness'>

export type ReportObjects = {
  /** Undefined when there is no object of this name, `unreadable` when it is no report of today's shape. */
  find(name: string): Promise<StoredReport | 'unreadable' | undefined>
  /** Whether it was stored; false, and nothing is changed, when there is an object of this name. */
  put(name: string, envelope: ReportEnvelope): Promise<boolean>
}

/** All objects of this service have a name that begins so. */
export const reportObjectsPrefix = 'reports/'

/**
 * Everything that an answer depends on: what is asked, the state of the user's data, and how the report is made of
 * them. So a deploy that changes a report cannot meet the objects of the one before.
 */
export function reportObjectName(
  report: LoadedReport,
  { user_id, date }: ReportParameters,
  generation: string,
): string {
  return `${reportObjectsPrefix}${report.name}/${user_id}/${date}/${generation}-${report.declaration}.json`
}

// Some 400 bytes each.
const rememberedReports = 20_000
// The name changes with the data, so whoever has the bytes may keep them for good (RFC 8246).
const immutable = 'private, max-age=31536000, immutable'

/**
 * Reports in the object store, by name.
 *
 * When a report was computed, and from what, stands in the object itself and nowhere else: a copy beside it
 * could be lost or differ. The first look at a name reads the object (one GET, which also shows that it is
 * there); from then on memory knows the answer, for objects never change, and a HEAD shows that it is still there.
 * That they never change is the store's promise: it writes a name only if there is no object of it.
 */
export function createReportObjects(store: ObjectStore): ReportObjects {
  const seen = new LRUCache<string, StoredReport>({ max: rememberedReports })

  function remember(name: string, { generated_at, freshness }: StoredReport): StoredReport {
    const stored = { generated_at, freshness }
    seen.set(name, stored)
    return stored
  }

  return {
    async find(name) {
      const known = seen.get(name)
      if (known) return (await store.head(name)) && known
      const object = await store.get(name)
      if (!object) return undefined
      const envelope = parseEnvelope(Buffer.from(object.body).toString('utf8'))
      return envelope ? remember(name, envelope) : 'unreadable'
    },
    async put(name, envelope) {
      const attributes = { contentType: 'application/json', cacheControl: immutable }
      const body = Buffer.from(JSON.stringify(envelope))
      const isStored = await store.put(name, body, attributes, { onlyIfAbsent: true })
      if (isStored) remember(name, envelope)
      return isStored
    },
  }
}

function parseEnvelope(text: string): ReportEnvelope | undefined {
  try {
    return reportEnvelope.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
