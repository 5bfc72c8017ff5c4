import type { ReportFormat } from '@tendon/contracts/report-envelope.ts'
import type { ReportLink } from '@tendon/contracts/reports-api.ts'
import { type SigningKeys, signPath } from '@tendon/platform/url-signature.ts'
import { LRUCache } from 'lru-cache'
import type { EnsureReport } from '../computing/ensure-report.ts'
import type { ReportTables } from '../computing/report-tables.ts'
import type { LoadedReport, ReportParameters } from '../declarations/report.ts'
import { reportsErrors } from '../errors.ts'
import type { CurrentFreshness } from '../freshness/current-freshness.ts'
import { newerFreshness } from '../freshness/freshness.ts'
import type { ReportGenerations } from '../generations/report-generations.ts'
import { type ReportObjects, reportObjectName } from '../objects/report-objects.ts'

export type ReportLinks = (
  report: LoadedReport,
  parameters: ReportParameters,
  format: ReportFormat,
) => Promise<ReportLink>

const maxAttempts = 5
const linkWindowS = 300
// Some 500 bytes each.
const rememberedLinks = 20_000

type SignedLink = Pick<ReportLink, 'url' | 'expires_at'>

/**
 * The way of a request: the generation, the object of that name, and if there is none, the report computed and stored
 * under it; for a table format then its rows under the same name.
 *
 * The generation is read before everything else, and again before the answer: an invalidation that came in
 * between has moved it, and then nothing of what was found or computed for the old one is handed out. An object
 * that cannot be read is left with its generation, for nothing that has a name is ever replaced.
 *
 * How current the answer is, is read before that second look too: as the generation has not moved, nothing of what it
 * covers has changed up to there, however long ago the report was computed.
 * @throws TENDON-REPORTS-008 when the generation moved during each of several attempts
 */
export function createReportLinks(options: {
  generations: ReportGenerations
  objects: ReportObjects
  tables: ReportTables
  ensureReport: EnsureReport
  currentFreshness: CurrentFreshness
  cdnBaseUrl: string
  signingKeys: SigningKeys
  now: () => number
  onUnreadable: (name: string) => void
  onSuperseded: () => void
}): ReportLinks {
  const { generations, objects, tables, ensureReport, currentFreshness, cdnBaseUrl, signingKeys, now } =
    options
  /** All who ask within one window get the same: it is signed once. */
  const signed = new LRUCache<string, { expiresAtS: number; link: SignedLink }>({ max: rememberedLinks })

  return async (report, parameters, format) => {
    for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
      const generation = await generations.current(report, parameters)
      const name = reportObjectName(report, parameters, generation)
      const found = await objects.find(name)
      if (found === 'unreadable') {
        options.onUnreadable(name)
        await generations.leave(parameters, generation)
        continue
      }
      const { generated_at, freshness } = found ?? (await ensureReport(name, report, parameters))
      const table = format === 'json' ? 'hit' : await tables.ensure(name, report, format)
      if (table === undefined) continue
      const current = found && (await currentFreshness())
      if ((await generations.current(report, parameters)).generation !== generation.generation) {
        options.onSuperseded()
        continue
      }
      return {
        ...signedLink(`${name}.${format}`),
        generated_at,
        cache: found ? table : 'miss',
        freshness: current ? newerFreshness(freshness, current, report.generationCovers) : freshness,
      }
    }
    throw reportsErrors.reportSuperseded(`The data changed during each of ${maxAttempts} attempts.`)
  }

  function signedLink(name: string): SignedLink {
    const expiresAtS = linkExpiryS(now())
    const known = signed.get(name)
    if (known?.expiresAtS === expiresAtS) return known.link
    const signedPath = signPath({ method: 'GET', path: `/${name}`, expiresAtS, keys: signingKeys })
    const link = {
      url: cdnBaseUrl.replace(/\/$/, '') + signedPath,
      expires_at: new Date(expiresAtS * 1000).toISOString(),
    }
    signed.set(name, { expiresAtS, link })
    return link
  }
}

/**
 * Unix time at which a link made now expires: a whole multiple of five minutes, five to ten minutes ahead.
 * So all who ask within one window get the same URL, and a browser finds it in its cache.
 */
export function linkExpiryS(nowMs: number): number {
  return Math.ceil((nowMs / 1000 + linkWindowS) / linkWindowS) * linkWindowS
}
