import { type ReportEnvelope, reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { LRUCache } from 'lru-cache'

/** What a link says about the report behind it. */
export type StoredReport = Pick<ReportEnvelope, 'generated_at' | 'freshness'>

export type ReportObjects = {
  /** Undefined when there is no object of this name. */
  find(name: string): Promise<StoredReport | undefined>
  put(name: string, envelope: ReportEnvelope): Promise<StoredReport>
}

export function reportObjectName(report: string, userId: string, date: string, generation: string): string {
  return `reports/${report}/${userId}/${date}/${generation}.json`
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
      const text = Buffer.from(object.body).toString('utf8')
      return remember(name, reportEnvelope.parse(JSON.parse(text)))
    },
    async put(name, envelope) {
      await store.put(name, Buffer.from(JSON.stringify(envelope)), {
        contentType: 'application/json',
        cacheControl: immutable,
      })
      return remember(name, envelope)
    },
  }
}
