import type { ReportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { stringify } from 'csv-stringify/sync'
import type { TableColumn } from './table-columns.ts'

/**
 * The rows as CSV (RFC 4180), UTF-8 with a header line.
 *
 * CSV has no place for what holds for the whole table, so each row carries it in columns of its own that begin with
 * an underscore: what it is, and how old. A table without rows is one line that has these alone.
 *
 * Text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV Injection): names and
 * settings are what somebody typed into the CRM.
 */
export function toCsv(envelope: ReportEnvelope, columns: readonly TableColumn[]): Uint8Array {
  const { schema_version, report, user_id, date, parameters, generated_at, freshness, units } = envelope
  const about = {
    _report: report,
    _schema_version: schema_version,
    _user_id: user_id,
    _date: date,
    ...Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`_${name}`, value])),
    _generated_at: generated_at,
    ...Object.fromEntries(Object.entries(freshness).map(([name, value]) => [`_${name}`, value])),
    _units: Object.entries(units)
      .map(([field, unit]) => `${field}: ${unit}`)
      .join('; '),
  }
  const rows = envelope.rows.length > 0 ? envelope.rows : [{}]
  const text = stringify(
    rows.map((row) => ({ ...row, ...about })),
    {
      header: true,
      columns: [...columns.map(({ name }) => name), ...Object.keys(about)],
      record_delimiter: 'windows',
      escape_formulas: true,
      cast: {
        boolean: (value) => String(value),
        number: (value) => ({ value: String(value), escape_formulas: false }),
      },
    },
  )
  return Buffer.from(text)
}
