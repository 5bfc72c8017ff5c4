import { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { warehouseErrors } from '@tendon/warehouse/errors.ts'
import pLimit from 'p-limit'
import { reportsErrors } from './errors.ts'
import type { ReadWarehouse } from './report.ts'

/**
 * Runs queries, a bounded number at once, each within a bounded time.
 *
 * ClickHouse's own limits (`max_execution_time`, `max_memory_usage`) stand in each query's SETTINGS; the time
 * here is for a ClickHouse that doesn't answer at all.
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
        return await withinTime(warehouse.query(query, parameters), timeoutMs)
      } catch (cause) {
        if (!isWarehouseFailure(cause)) throw cause
        throw reportsErrors.warehouseUnavailable('ClickHouse could not be asked for the report.', { cause })
      }
    })
  }
}

class QueryTimeout extends Error {
  override readonly name = 'QueryTimeout'
}

/** @throws QueryTimeout */
export async function withinTime<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new QueryTimeout(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** Also a refused statement: tables not derived yet, memory or time used up. Not a row of another shape: a bug. */
function isWarehouseFailure(error: unknown): boolean {
  if (error instanceof QueryTimeout) return true
  if (!(error instanceof TendonError)) return false
  return (
    error.code === warehouseErrors.unavailable.code || error.code === warehouseErrors.statementFailed.code
  )
}
