/** Bytes of a row as packed-row.sql makes it, where the places of its fields are listed. */
export const packedRowLength = 36

/** What stands for null, of columns whose values cannot be it. */
export const nullInt32 = -2_147_483_648
export const nullInt16 = -32_768
const nullFloatBits = 0xff_ff_ff_ff
const postgresEpochUs = Date.UTC(2000, 0, 1) * 1000

/** The rows of one chip as columns, in the order of their time, signal and id. */
export type ChipRows = {
  count: number
  instantUs: Float64Array
  responseTimeMs: Float32Array
  /** 0 where the response time is null. */
  hasResponseTime: Uint8Array
  /** `nullInt16` is null. */
  batteryPercent: Int16Array
  /** `nullInt32` is null, here and of the movements. */
  activeMs: Int32Array
  movements: Int32Array
  id: Float64Array
  signalHash: Int32Array
  hasError: Uint8Array
  /** Above 0 where the row was recorded long after it was stored. */
  isAhead: Uint8Array
  /** Where each row stands in the bytes it was read from. */
  offset: Uint32Array
}

function allocate(capacity: number): ChipRows {
  return {
    count: 0,
    instantUs: new Float64Array(capacity),
    responseTimeMs: new Float32Array(capacity),
    hasResponseTime: new Uint8Array(capacity),
    batteryPercent: new Int16Array(capacity),
    activeMs: new Int32Array(capacity),
    movements: new Int32Array(capacity),
    id: new Float64Array(capacity),
    signalHash: new Int32Array(capacity),
    hasError: new Uint8Array(capacity),
    isAhead: new Uint8Array(capacity),
    offset: new Uint32Array(capacity),
  }
}

/** Reads chips one after the other into the same columns: no object is made for a row. */
export function createPackedRowReader(): { read(bytes: Buffer): ChipRows } {
  let rows = allocate(1024)
  return {
    read(bytes) {
      const count = bytes.length / packedRowLength
      if (!Number.isInteger(count)) throw new Error(`${bytes.length} bytes are not whole rows`)
      if (count > rows.offset.length) rows = allocate(count * 2)
      rows.count = count
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      for (let row = 0; row < count; row++) readRow(view, row * packedRowLength, rows, row)
      // Rows mostly come in the order of their time, which one look tells.
      if (!isInOrder(rows)) {
        const sorted = Uint32Array.from({ length: count }, (_, row) => row).sort((a, b) =>
          compareRows(rows, a, b),
        )
        for (let row = 0; row < count; row++) readRow(view, sorted[row]! * packedRowLength, rows, row)
      }
      return rows
    },
  }
}

function isInOrder(rows: ChipRows): boolean {
  for (let row = 1; row < rows.count; row++) if (compareRows(rows, row - 1, row) > 0) return false
  return true
}

/** By time, signal and id: the order in which duplicates stand side by side. */
function compareRows(rows: ChipRows, a: number, b: number): number {
  return (
    rows.instantUs[a]! - rows.instantUs[b]! ||
    rows.signalHash[a]! - rows.signalHash[b]! ||
    rows.id[a]! - rows.id[b]!
  )
}

function readRow(view: DataView, offset: number, into: ChipRows, row: number): void {
  into.offset[row] = offset
  into.instantUs[row] = readInt64(view, offset) + postgresEpochUs
  into.hasResponseTime[row] = view.getUint32(offset + 8) === nullFloatBits ? 0 : 1
  into.responseTimeMs[row] = view.getFloat32(offset + 8)
  into.movements[row] = view.getInt32(offset + 12)
  into.activeMs[row] = view.getInt32(offset + 16)
  into.id[row] = readInt64(view, offset + 20)
  into.signalHash[row] = view.getInt32(offset + 28)
  into.batteryPercent[row] = view.getInt16(offset + 32)
  const flags = view.getUint8(offset + 35)
  into.hasError[row] = flags & 1
  into.isAhead[row] = flags & 2
}

/** Exact up to 2^53: times until 2255, and more ids than there will be. */
function readInt64(view: DataView, offset: number): number {
  return view.getInt32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4)
}
