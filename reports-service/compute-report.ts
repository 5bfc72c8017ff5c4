import type { ReportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { z } from 'zod'
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
  const { user_id, date, chosen } = parameters
  const generatedAt = new Date(now()).toISOString()
  const freshness = await readFreshness(read)
  const computed = await report.compute(read, parameters)
  if (computed === undefined) throw reportsErrors.customerUnknown('The warehouse knows no such customer.')
  return {
    schema_version: 2,
    report: report.name,
    title: report.title,
    user_id,
    date,
    parameters: chosen,
    generated_at: generatedAt,
    freshness,
    units: report.units,
    data: report.data.parse(computed.data),
    rows: z.array(report.row).parse(computed.rows) as ReportEnvelope['rows'],
  }
}
