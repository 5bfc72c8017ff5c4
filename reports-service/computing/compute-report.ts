import type { ReportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { z } from 'zod'
import { readCustomer } from '../customer-data/customer-query.ts'
import type { Customer, ReadWarehouse, Report, ReportParameters } from '../declarations/report.ts'
import { reportsErrors } from '../errors.ts'
import { readFreshness } from '../freshness/freshness.ts'

/**
 * Computes a report as it is stored.
 *
 * Time and freshness are taken before the report's own queries: the data may be newer than the envelope says,
 * never older.
 * @throws TENDON-REPORTS-012 when there is no such customer, -002 when the day has not begun where they live; what `read`
 * throws
 */
export async function computeReport(
  report: Report,
  parameters: ReportParameters,
  context: { read: ReadWarehouse; now: () => number },
): Promise<ReportEnvelope> {
  const { read, now } = context
  const { user_id, date, chosen } = parameters
  const atMs = now()
  const [freshness, customer] = await Promise.all([
    readFreshness(read),
    user_id === null ? null : readCustomer(read, user_id),
  ])
  if (customer === undefined) throw reportsErrors.customerUnknown('The warehouse knows no such customer.')
  if (customer !== null) assertHasBegun(date, customer, atMs)
  const computed = await report.compute(read, { ...parameters, customer })
  return {
    schema_version: 2,
    report: report.name,
    title: report.title,
    user_id,
    date,
    parameters: chosen,
    generated_at: new Date(atMs).toISOString(),
    freshness,
    units: report.units,
    data: report.data.parse(computed.data),
    rows: z.array(report.row).parse(computed.rows) as ReportEnvelope['rows'],
  }
}

function assertHasBegun(date: string, { time_zone }: Customer, atMs: number): void {
  const today = dayAt(atMs, time_zone)
  if (today === undefined || date <= today) return
  throw reportsErrors.dateInFuture(`${date} has not begun in ${time_zone}, where the customer lives.`)
}

/** Undefined for a zone that ClickHouse knows and this process does not: their zone data are of two versions. */
function dayAt(atMs: number, timeZone: string): string | undefined {
  try {
    // English of Canada writes a day as ISO 8601 does.
    return new Intl.DateTimeFormat('en-CA', { timeZone }).format(atMs)
  } catch {
    return undefined
  }
}
