import { readTimestamp } from './instants.ts'
import type { JudgedRow } from './row-rules.ts'

/** Bytes of a row as packed-row.sql makes it, where the places of its fields are listed. */
export const packedRowLength = 36

const nullInt32 = -2_147_483_648
const nullInt16 = -32_768
const nullFloatBits = 0xff_ff_ff_ff

/** The rows of one chip as columns, in the order of their time, and of their ids where two have the same. */
export type ChipRows = {
  count: number
  instantUs: Float64Array
  responseTimeMs: Float32Array
  hasResponseTime: Uint8Array
  /** -32768 is null. */
  batteryPercent: Int16Array
  /** -2147483648 is null, here and of the movements. */
  activeMs: Int32Array
  movements: Int32Array
  id: Float64Array
  signalHash: Int32Array
  hasError: Uint8Array
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
  let order = new Uint32Array(1024)
  return {
    read(bytes) {
      const count = bytes.length / packedRowLength
      if (!Number.isInteger(count)) throw new Error(`${bytes.length} bytes are not whole rows`)
      if (count > rows.offset.length) {
        rows = allocate(count * 2)
        order = new Uint32Array(count * 2)
      }
      rows.count = count
      const places = inOrder(bytes, order.subarray(0, count))
      for (let i = 0; i < count; i++) readRow(bytes, places[i]! * packedRowLength, rows, i)
      return rows
    },
  }
}

/** Rows mostly come in the order of their time, which one look tells; they are sorted otherwise. */
function inOrder(bytes: Buffer, places: Uint32Array): Uint32Array {
  let isSorted = true
  for (let i = 0; i < places.length; i++) {
    places[i] = i
    if (i > 0 && compareRows(bytes, i - 1, i) > 0) isSorted = false
  }
  return isSorted ? places : places.sort((a, b) => compareRows(bytes, a, b))
}

/** By time, signal and id: the order in which duplicates stand side by side. */
function compareRows(bytes: Buffer, a: number, b: number): number {
  const [atA, atB] = [a * packedRowLength, b * packedRowLength]
  return (
    readTimestamp(bytes, atA) - readTimestamp(bytes, atB) ||
    bytes.readInt32BE(atA + 28) - bytes.readInt32BE(atB + 28) ||
    readInt64(bytes, atA + 20) - readInt64(bytes, atB + 20)
  )
}

function readRow(bytes: Buffer, offset: number, into: ChipRows, row: number): void {
  into.offset[row] = offset
  into.instantUs[row] = readTimestamp(bytes, offset)
  into.hasResponseTime[row] = bytes.readUInt32BE(offset + 8) === nullFloatBits ? 0 : 1
  into.responseTimeMs[row] = bytes.readFloatBE(offset + 8)
  into.movements[row] = bytes.readInt32BE(offset + 12)
  into.activeMs[row] = bytes.readInt32BE(offset + 16)
  into.id[row] = readInt64(bytes, offset + 20)
  into.signalHash[row] = bytes.readInt32BE(offset + 28)
  into.batteryPercent[row] = bytes.readInt16BE(offset + 32)
  const flags = bytes[offset + 35]!
  into.hasError[row] = flags & 1
  into.isAhead[row] = flags & 2
}

function readInt64(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset) * 0x1_0000_0000 + bytes.readUInt32BE(offset + 4)
}

export const isNull = {
  int32: (value: number) => value === nullInt32,
  int16: (value: number) => value === nullInt16,
}

/** Puts a row where the rules look at it. */
export function showRow(rows: ChipRows, row: number, into: JudgedRow): void {
  into.instantUs = rows.instantUs[row]!
  into.responseTimeMs = rows.responseTimeMs[row]!
  into.hasResponseTime = rows.hasResponseTime[row] === 1
  into.batteryPercent = isNull.int16(rows.batteryPercent[row]!) ? undefined : rows.batteryPercent[row]
  into.activeMs = isNull.int32(rows.activeMs[row]!) ? undefined : rows.activeMs[row]
  into.movements = isNull.int32(rows.movements[row]!) ? undefined : rows.movements[row]
  into.isAhead = rows.isAhead[row] !== 0
}
