import type { ReportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { reportsErrors } from './errors.ts'
import { readFreshness } from './freshness/freshness.ts'
import type { ReadWarehouse, Report, ReportParameters } from './report.ts'

/**
 * Computes a report as it is stored.
 *
 * Time and freshness are taken before the report's own queries: the data may be newer than the envelope says,
 * never older.
 * @throws TENDON-REPORTS-012 when there is no such customer; what `read` throws
 */
export async function computeReport(
  report: Report,
  parameters: ReportParameters,
  context: { read: ReadWarehouse; now: () => number },
): Promise<ReportEnvelope> {
  const { read, now } = context
  const generatedAt = new Date(now()).toISOString()
  const freshness = await readFreshness(read)
  const data = await report.compute(read, parameters)
  if (data === undefined) throw reportsErrors.customerUnknown('The warehouse knows no such customer.')
  return {
    schema_version: 1,
    report: report.name,
    title: report.title,
    user_id: parameters.user_id,
    date: parameters.date,
    generated_at: generatedAt,
    freshness,
    units: report.units,
    data: report.data.parse(data),
  }
}
