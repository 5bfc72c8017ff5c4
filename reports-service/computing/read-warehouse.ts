import { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseErrors } from '@tendon/warehouse/errors.ts'
import pLimit from 'p-limit'
import type { ReadWarehouse } from '../declarations/report.ts'
import { reportsErrors } from '../errors.ts'

/**
 * Runs queries, a bounded number at once, each within a bounded time, after which it has ended at ClickHouse as well: a
 * slot that is free is free there too. What memory each may use stands in its SETTINGS.
 * @throws TENDON-REPORTS-007 when ClickHouse fails, -011 when more queries wait than `queueLimit`
 */
export function createReadWarehouse(options: {
  warehouse: Warehouse
  concurrentQueries: number
  queueLimit: number
  timeoutMs: number
}): ReadWarehouse {
  const { warehouse, concurrentQueries, queueLimit, timeoutMs } = options
  const limit = pLimit(concurrentQueries)

  return async (query, parameters) => {
    if (limit.pendingCount >= queueLimit) {
      throw reportsErrors.reportBusy('Too many queries are waiting for ClickHouse.')
    }
    return limit(async () => {
      try {
        return await warehouse.query(query, parameters, { timeoutMs })
      } catch (cause) {
        if (!isWarehouseFailure(cause)) throw cause
        throw reportsErrors.warehouseUnavailable('ClickHouse gave no answer for the report.', { cause })
      }
    })
  }
}

/** Also a refused statement: tables not derived yet, memory or time used up. Not a row of another shape: a bug. */
function isWarehouseFailure(error: unknown): boolean {
  if (!(error instanceof TendonError)) return false
  return (
    error.code === warehouseErrors.unavailable.code || error.code === warehouseErrors.statementFailed.code
  )
}
