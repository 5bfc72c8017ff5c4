import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { type ReportEnvelope, type ReportFormat, reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import type { ObjectStore } from '@tendon/platform/object-store.ts'
import { LRUCache } from 'lru-cache'
import type { LoadedReport, ReportParameters } from '../declarations/report.ts'

/** What a link says about the report behind it. */
export type StoredReport = Pick<ReportEnvelope, 'generated_at' | 'freshness'>

export type ReportObjects = {
  /** Undefined when there is no report of this name, `unreadable` when it is none of today's shape. */
  find(name: string): Promise<StoredReport | 'unreadable' | undefined>
  /** The whole report; undefined when it is not there or cannot be read. */
  read(name: string): Promise<ReportEnvelope | undefined>
  /** Whether it was stored; false, and nothing is changed, when there is an object of this name. */
  put(name: string, envelope: ReportEnvelope): Promise<boolean>
  hasTable(name: string, format: TableFormat): Promise<boolean>
  /** As `put`, a report's rows in another format. */
  putTable(name: string, format: TableFormat, body: Uint8Array): Promise<boolean>
}

export type TableFormat = Exclude<ReportFormat, 'json'>

/** All objects of this service have a name that begins so. */
export const reportObjectsPrefix = 'reports/'
/** Where a customer's id stands in the names of reports of everybody. */
const everybody = 'everybody'

/**
 * Everything that an answer depends on: what is asked, the state of the data, and how the report is made of them.
 * So a deploy that changes a report cannot meet the objects of the one before. A format's object is this name and
 * the format as its ending.
 * @param age how often the report's time to live has passed since the generation began
 */
export function reportObjectName(
  report: LoadedReport,
  { user_id, date, chosen }: ReportParameters,
  { generation, age }: { generation: string; age: number },
): string {
  const choices = Object.entries(chosen).map(([name, value]) => `${name}-${value}`)
  const version = [generation, report.declaration, ...(age > 0 ? [age] : []), ...choices.sort()].join('-')
  return `${reportObjectsPrefix}${report.name}/${user_id ?? everybody}/${date}/${version}`
}

const contentTypes: Record<ReportFormat, string> = {
  json: 'application/json',
  csv: 'text/csv; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
}

// Some 400 bytes each.
const rememberedReports = 20_000
const rememberedTables = 20_000
/**
 * How long an object is believed to be there without a look. The service's own deleting and the bucket's rule take
 * only what has not been handed out for long; this is for what an operator removed by hand.
 */
const trustMs = 30_000
// The name changes with the data, so whoever has the bytes may keep them for good (RFC 8246).
const immutable = 'private, max-age=31536000, immutable'

/**
 * Reports in the object store, by name, compressed.
 *
 * When a report was computed, and from what, stands in the object itself and nowhere else: a copy beside it
 * could be lost or differ. The first look at a name reads the object; from then on memory knows the answer, for objects
 * never change, and only now and then a HEAD shows that it is still there. That they never change is the store's
 * promise: it writes a name only if there is no object of it.
 */
export function createReportObjects(store: ObjectStore, now: () => number): ReportObjects {
  const seen = new LRUCache<string, StoredReport & { seenAtMs: number }>({ max: rememberedReports })
  const seenTables = new LRUCache<string, number>({ max: rememberedTables })
  const isTrusted = (seenAtMs: number) => now() - seenAtMs < trustMs

  function remember(name: string, { generated_at, freshness }: StoredReport): StoredReport {
    const stored = { generated_at, freshness }
    seen.set(name, { ...stored, seenAtMs: now() })
    return stored
  }

  async function envelopeOf(name: string): Promise<ReportEnvelope | 'unreadable' | undefined> {
    const object = await store.get(`${name}.json`)
    if (!object) return undefined
    try {
      const body = object.contentEncoding === 'gzip' ? await promisify(gunzip)(object.body) : object.body
      return reportEnvelope.parse(JSON.parse(Buffer.from(body).toString('utf8')))
    } catch {
      return 'unreadable'
    }
  }

  async function putEncoded(name: string, format: ReportFormat, body: Uint8Array): Promise<boolean> {
    // Parquet is compressed inside.
    const encoding = format === 'parquet' ? undefined : 'gzip'
    const attributes = {
      contentType: contentTypes[format],
      cacheControl: immutable,
      contentEncoding: encoding,
    }
    const encoded = encoding ? await promisify(gzip)(body) : body
    return store.put(`${name}.${format}`, encoded, attributes, { onlyIfAbsent: true })
  }

  return {
    async find(name) {
      const known = seen.get(name)
      if (known && isTrusted(known.seenAtMs)) return known
      if (known) return (await store.head(`${name}.json`)) && remember(name, known)
      const envelope = await envelopeOf(name)
      return envelope === undefined || envelope === 'unreadable' ? envelope : remember(name, envelope)
    },
    async read(name) {
      const envelope = await envelopeOf(name)
      if (envelope !== undefined && envelope !== 'unreadable') return envelope
      // It was believed to be there: the next look is at the store.
      seen.delete(name)
      return undefined
    },
    async put(name, envelope) {
      const isStored = await putEncoded(name, 'json', Buffer.from(JSON.stringify(envelope)))
      if (isStored) remember(name, envelope)
      return isStored
    },
    async hasTable(name, format) {
      const key = `${name}.${format}`
      if (isTrusted(seenTables.get(key) ?? Number.NEGATIVE_INFINITY)) return true
      const isThere = (await store.head(key)) !== undefined
      if (isThere) seenTables.set(key, now())
      return isThere
    },
    async putTable(name, format, body) {
      const isStored = await putEncoded(name, format, body)
      if (isStored) seenTables.set(`${name}.${format}`, now())
      return isStored
    },
  }
}
