import type { Warehouse } from '@tendon/warehouse/client.ts'
import {
  Float64,
  makeData,
  makeVector,
  Table,
  tableToIPC,
  Uint8,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow'
import { takeUserDays, type UserDays } from './user-days.ts'

const rowsPerBatch = 50_000

/**
 * Writes rows into `reports.user_prosthesis_stats` in the format ArrowStream. A batch that is written twice
 * changes nothing, since the version decides which row stands.
 * @param version the run's sequence number
 * @param deleted whether these rows no longer stand
 */
export async function loadStats(
  warehouse: Warehouse,
  rows: UserDays,
  mark: { version: number; deleted: boolean },
): Promise<void> {
  for (let start = 0; start < rows.length; start += rowsPerBatch) {
    const end = Math.min(start + rowsPerBatch, rows.length)
    const batch = takeUserDays(
      rows,
      Array.from({ length: end - start }, (_, i) => start + i),
    )
    const ipc = tableToIPC(statsTable(batch, mark), 'stream')
    await warehouse.insertLines('reports.user_prosthesis_stats', Buffer.from(ipc), 'ArrowStream')
  }
}

function statsTable(rows: UserDays, mark: { version: number; deleted: boolean }): Table {
  const { measures } = rows
  return new Table({
    user_id: vectorFromArray(rows.userId, new Utf8()),
    prosthesis_id: vectorFromArray(rows.prosthesisId, new Utf8()),
    day: makeVector(Uint16Array.from(rows.day)),
    chip_id: vectorFromArray(rows.chipId, new Utf8()),
    model_id: makeVector(rows.modelId),
    events: makeVector(Uint32Array.from(measures.events)),
    errors: makeVector(Uint32Array.from(measures.errors)),
    error_rate: makeVector(measures.error_rate),
    response_time_avg_ms: nullableFloat64(measures.response_time_avg_ms),
    response_time_p95_ms: nullableFloat64(measures.response_time_p95_ms),
    battery_min_percent: nullableUint8(measures.battery_min_percent),
    battery_avg_percent: nullableFloat64(measures.battery_avg_percent),
    active_minutes: makeVector(measures.active_minutes),
    movements: makeVector(BigUint64Array.from(measures.movements, BigInt)),
    _version: makeVector(new BigUint64Array(rows.length).fill(BigInt(mark.version))),
    _deleted: makeVector(new Uint8Array(rows.length).fill(mark.deleted ? 1 : 0)),
  })
}

function nullableFloat64(values: Float64Array): Vector<Float64> {
  return makeVector(
    makeData({ type: new Float64(), data: values, length: values.length, ...validity(values) }),
  )
}

function nullableUint8(values: Float64Array): Vector<Uint8> {
  const data = Uint8Array.from(values)
  return makeVector(makeData({ type: new Uint8(), data, length: values.length, ...validity(values) }))
}

/** Arrow's bit for each value that is there, least significant first (Arrow columnar format, "Validity bitmaps"). */
function validity(values: Float64Array): { nullBitmap: Uint8Array; nullCount: number } {
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
  let nullCount = 0
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) nullCount += 1
    else nullBitmap[i >> 3]! |= 1 << (i & 7)
  }
  return { nullBitmap, nullCount }
}
