import { postgresEpochUs } from './copy-binary.ts'

/** Bytes of a row as slim-row.sql and as whole-row.sql make it, where the places of its fields are listed. */
export const slimRowLength = 20
export const wholeRowLength = 36

/** A device's clock may be ahead by so much. Who packs a row compares its two times, of which only one is packed. */
export const clockAheadMinutes = 60

/** What stands for null, of columns whose values cannot be it. */
export const nullInt32 = -2_147_483_648
export const nullInt16 = -32_768
const nullFloatBits = 0xff_ff_ff_ff

/** Packed rows of one chip, in any order. */
export type PackedRows = { slim: Buffer; whole: Buffer }

const noBytes = Buffer.alloc(0)
export const slimRows = (bytes: Buffer): PackedRows => ({ slim: bytes, whole: noBytes })
export const wholeRows = (bytes: Buffer): PackedRows => ({ slim: noBytes, whole: bytes })

export function joinRows(a: PackedRows, b: PackedRows): PackedRows {
  return { slim: joinBytes(a.slim, b.slim), whole: joinBytes(a.whole, b.whole) }
}

function joinBytes(a: Buffer, b: Buffer): Buffer {
  if (a.length === 0) return b
  return b.length === 0 ? a : Buffer.concat([a, b])
}

/** The rows in the place of which those of the same times were read again, whole. */
export function replaceRows({ slim, whole }: PackedRows, again: Buffer): PackedRows {
  const times = new Set<number>()
  for (let offset = 0; offset < again.length; offset += wholeRowLength) times.add(timeAt(again, offset))
  const kept = (bytes: Buffer, length: number): Buffer => {
    const copy = Buffer.allocUnsafe(bytes.length)
    let end = 0
    for (let offset = 0; offset < bytes.length; offset += length) {
      if (!times.has(timeAt(bytes, offset))) end += bytes.copy(copy, end, offset, offset + length)
    }
    return copy.subarray(0, end)
  }
  return {
    slim: kept(slim, slimRowLength),
    whole: Buffer.concat([kept(whole, wholeRowLength), again]),
  }
}

const timeAt = (bytes: Buffer, offset: number): number =>
  bytes.readInt32BE(offset) * 0x1_0000_0000 + bytes.readUInt32BE(offset + 4)

/** The rows of one chip as columns, in the order of their time, signal and id. */
export type ChipRows = {
  count: number
  instantUs: Float64Array
  responseTimeMs: Float32Array
  /** 0 where the response time is null. */
  hasResponseTime: Uint8Array
  /** `nullInt16` is null. */
  batteryPercent: Int16Array
  /** `nullInt32` is null, here and of the movements; a slim row has 0 then. */
  activeMs: Int32Array
  movements: Int32Array
  hasError: Uint8Array
  /** Above 0 where the row was recorded long after it was stored. */
  isAhead: Uint8Array
  /** Above 0 where a slim row does not say what the row holds. */
  isUnsaid: Uint8Array
  /** Of a slim row 0. An int8 may be beyond 2^53, where two ids would be the same number. */
  id: BigInt64Array
  signalHash: Int32Array
  isWhole: Uint8Array
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
    hasError: new Uint8Array(capacity),
    isAhead: new Uint8Array(capacity),
    isUnsaid: new Uint8Array(capacity),
    id: new BigInt64Array(capacity),
    signalHash: new Int32Array(capacity),
    isWhole: new Uint8Array(capacity),
    offset: new Uint32Array(capacity),
  }
}

/** Reads chips one after the other into the same columns: no object is made for a row. */
export function createPackedRowReader(): { read(packed: PackedRows): ChipRows } {
  let rows = allocate(1024)
  let order = new Uint32Array(0)
  return {
    read({ slim, whole }) {
      const slimCount = slim.length / slimRowLength
      const count = slimCount + whole.length / wholeRowLength
      if (!Number.isInteger(count))
        throw new Error(`${slim.length} and ${whole.length} bytes are not whole rows`)
      if (count > rows.offset.length) rows = allocate(count * 2)
      rows.count = count
      const slimView = new DataView(slim.buffer, slim.byteOffset, slim.length)
      const wholeView = new DataView(whole.buffer, whole.byteOffset, whole.length)
      const readInto = (from: number, row: number): void => {
        if (from < slimCount) readSlimRow(slimView, from * slimRowLength, rows, row)
        else readWholeRow(wholeView, (from - slimCount) * wholeRowLength, rows, row)
      }
      for (let row = 0; row < count; row++) readInto(row, row)
      // Rows mostly come in the order of their time, which one look tells.
      if (!isInOrder(rows)) {
        if (order.length < count) order = new Uint32Array(count * 2)
        const sorted = order.subarray(0, count)
        for (let row = 0; row < count; row++) sorted[row] = row
        sorted.sort((a, b) => compareRows(rows, a, b))
        for (let row = 0; row < count; row++) readInto(sorted[row]!, row)
      }
      return rows
    },
  }
}

function isInOrder(rows: ChipRows): boolean {
  const { instantUs, count } = rows
  for (let row = 1; row < count; row++) {
    if (instantUs[row - 1]! < instantUs[row]!) continue
    if (compareRows(rows, row - 1, row) > 0) return false
  }
  return true
}

/** By time, signal and id: the order in which duplicates stand side by side. */
function compareRows(rows: ChipRows, a: number, b: number): number {
  return (
    rows.instantUs[a]! - rows.instantUs[b]! ||
    rows.signalHash[a]! - rows.signalHash[b]! ||
    (rows.id[a]! < rows.id[b]! ? -1 : Number(rows.id[a]! > rows.id[b]!))
  )
}

function readSlimRow(view: DataView, offset: number, into: ChipRows, row: number): void {
  const low = view.getInt32(offset + 16)
  into.instantUs[row] = readInstant(view, offset) + postgresEpochUs
  into.hasResponseTime[row] = view.getUint32(offset + 8) === nullFloatBits ? 0 : 1
  into.responseTimeMs[row] = view.getFloat32(offset + 8)
  into.activeMs[row] = view.getInt32(offset + 12)
  into.movements[row] = low >> 18
  // The column of 16 bits keeps the lower ones, sign and all.
  into.batteryPercent[row] = low >> 2
  into.hasError[row] = low & 1
  into.isAhead[row] = 0
  into.isUnsaid[row] = low & 2
  into.id[row] = 0n
  into.signalHash[row] = 0
  into.isWhole[row] = 0
  into.offset[row] = offset
}

function readWholeRow(view: DataView, offset: number, into: ChipRows, row: number): void {
  const flags = view.getUint8(offset + 35)
  into.instantUs[row] = readInstant(view, offset) + postgresEpochUs
  into.hasResponseTime[row] = view.getUint32(offset + 8) === nullFloatBits ? 0 : 1
  into.responseTimeMs[row] = view.getFloat32(offset + 8)
  into.movements[row] = view.getInt32(offset + 12)
  into.activeMs[row] = view.getInt32(offset + 16)
  into.batteryPercent[row] = view.getInt16(offset + 32)
  into.hasError[row] = flags & 1
  into.isAhead[row] = flags & 2
  into.isUnsaid[row] = 0
  into.id[row] = view.getBigInt64(offset + 20)
  into.signalHash[row] = view.getInt32(offset + 28)
  into.isWhole[row] = 1
  into.offset[row] = offset
}

/** Exact up to 2^53: until 2255. */
function readInstant(view: DataView, offset: number): number {
  return view.getInt32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4)
}
