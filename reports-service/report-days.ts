import { TendonError } from '@tendon/platform/errors.ts'
import { LRUCache } from 'lru-cache'
import { reportsErrors } from './errors.ts'
import type { LoadedReport, ReadWarehouse, ReportDays } from './report.ts'

/** For which days there are data of a report; whose is null for one of everybody. */
export type FindReportDays = (
  report: LoadedReport,
  owner: { user_id: string | null },
) => Promise<ReportDays | undefined>

// Some 300 bytes each.
const rememberedDays = 20_000

/** ClickHouse itself, or its queue here. */
const mayComeBack: unknown[] = [reportsErrors.warehouseUnavailable.code, reportsErrors.reportBusy.code]

/**
 * Reads them, and without ClickHouse says what was read last: a page that opens on the newest day finds the report that is
 * made already, and which needs no ClickHouse.
 */
export function createFindReportDays(read: ReadWarehouse): FindReportDays {
  const readLast = new LRUCache<string, { days: ReportDays | undefined }>({ max: rememberedDays })

  return async (report, owner) => {
    const key = `${report.name}/${owner.user_id}`
    try {
      const days = await report.days(read, owner)
      readLast.set(key, { days })
      return days
    } catch (error) {
      const last = readLast.get(key)
      const isAway = error instanceof TendonError && mayComeBack.includes(error.code)
      if (!last || !isAway) throw error
      return last.days
    }
  }
}
