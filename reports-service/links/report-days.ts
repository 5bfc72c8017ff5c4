import { TendonError } from '@tendon/platform/errors.ts'
import { within } from '@tendon/platform/within.ts'
import { LRUCache } from 'lru-cache'
import type { LoadedReport, ReadWarehouse, ReportDays } from '../declarations/report.ts'
import { reportsErrors } from '../errors.ts'

/** For which days there are data of a report; whose is null for one of everybody. */
export type FindReportDays = (
  report: LoadedReport,
  owner: { user_id: string | null },
) => Promise<ReportDays | undefined>

// Some 300 bytes each.
const rememberedDays = 20_000
/** ClickHouse is away or slow, or more wait for it than it takes. */
const readsNotNow: unknown[] = [reportsErrors.warehouseUnavailable.code, reportsErrors.reportBusy.code]

/**
 * Reads them, and without ClickHouse says what was read last: a page that opens on the newest day finds the report that is
 * made already, and which needs no ClickHouse.
 * @param options.waitLimitMs who can be told what was read last waits no longer than this
 */
export function createFindReportDays(options: { read: ReadWarehouse; waitLimitMs: number }): FindReportDays {
  const { read, waitLimitMs } = options
  const readLast = new LRUCache<string, { days: ReportDays | undefined }>({ max: rememberedDays })

  return async (report, owner) => {
    const key = `${report.name}/${owner.user_id}`
    const last = readLast.get(key)
    const reading = readDays()
    return (last ? await within(reading, waitLimitMs, () => last) : await reading).days

    async function readDays() {
      try {
        const found = { days: await report.days(read, owner) }
        readLast.set(key, found)
        return found
      } catch (error) {
        if (last && error instanceof TendonError && readsNotNow.includes(error.code)) return last
        throw error
      }
    }
  }
}
