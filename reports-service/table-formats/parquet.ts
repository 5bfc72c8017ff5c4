import type { ReportEnvelope, TableRow } from '@tendon/contracts/report-envelope.ts'
import { ByteWriter, parquetWrite } from 'hyparquet-writer'
import type { ColumnType, TableColumn } from './table-columns.ts'

type Physical = {
  type: 'BYTE_ARRAY' | 'INT64' | 'DOUBLE' | 'BOOLEAN' | 'INT32'
  converted_type?: 'UTF8' | 'DATE' | 'TIMESTAMP_MICROS'
}

const physicalTypes: Record<ColumnType, Physical> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  integer: { type: 'INT64' },
  number: { type: 'DOUBLE' },
  truth: { type: 'BOOLEAN' },
  day: { type: 'INT32', converted_type: 'DATE' },
  time: { type: 'INT64', converted_type: 'TIMESTAMP_MICROS' },
}

/** The rows as Parquet, typed by the row's schema; the rest of the envelope stands in the file's key-value metadata. */
export function toParquet(envelope: ReportEnvelope, columns: readonly TableColumn[]): Uint8Array {
  const { rows, ...about } = envelope
  const writer = new ByteWriter()
  parquetWrite({
    writer,
    schema: [
      { name: 'report', num_children: columns.length },
      ...columns.map(({ name, type }) => ({
        name,
        repetition_type: 'OPTIONAL' as const,
        ...physicalTypes[type],
      })),
    ],
    columnData: columns.map(({ name, type }) => ({
      name,
      data: rows.map((row) => physicalValue(row[name] ?? null, type)),
    })),
    kvMetadata: [{ key: 'tendon.report', value: JSON.stringify(about) }],
  })
  return new Uint8Array(writer.getBuffer())
}

function physicalValue(value: TableRow[string], type: ColumnType): unknown {
  if (value === null) return null
  if (type === 'integer') return BigInt(value)
  if (type === 'day') return Date.parse(String(value)) / 86_400_000
  if (type === 'time') return microseconds(String(value))
  return value
}

/** A Date would drop what ClickHouse's times have behind the millisecond. */
function microseconds(time: string): bigint {
  const [, fraction = ''] = /\.(\d+)/.exec(time) ?? []
  const wholeSeconds = Date.parse(time.replace(/\.\d+/, '')) / 1000
  return BigInt(wholeSeconds) * 1_000_000n + BigInt(fraction.padEnd(6, '0').slice(0, 6))
}
