import type { DeadLetter } from './dead-letters.ts'
import type { HeldChange } from './held-changes.ts'
import { maxGrowth, maxOverhead, writeLatin1 } from './json-text.ts'
import { isoTime } from './positions.ts'
import type { TableCodec } from './table-codec.ts'
import { nullField, type TupleFields } from './tuple-fields.ts'
import type { UnappliedChange } from './unapplied.ts'

/** The columns of `cdc.events` in the order in which a batch has them. */
export const eventColumns = [
  'version',
  'lsn',
  'op',
  'deleted',
  'tx_id',
  'committed_at',
  'table',
  'row',
  'key',
]

/** What an event says beside its row. One object is used over and over. */
export type EventHeader = {
  /** Upper half of the version: the commit's LSN (or the snapshot's), with the history's offset added. */
  position: bigint
  /** Lower half of the version; exact up to 2^53, as LSNs are. */
  index: number
  /** The change's own LSN; exact up to 2^53, which no WAL reaches. */
  lsn: number
  op: 'r' | 'c' | 'u' | 'd' | 't'
  txId: number
  /** Microseconds since 1970. */
  committedAt: bigint
}

export type Truncation = { codec: TableCodec; header: EventHeader }

const initialBytes = 1 << 20
const keptBytes = 32 << 20
/** version 16, lsn 8, op 1 + 1, deleted 1, tx_id 8, committed_at 8. */
const fixedBytes = 43
const metadataBytes = 320
/** A length in five bytes, so that it can be filled in once it is known (LEB128 may be padded). */
const lengthBytes = 5

/**
 * Events in ClickHouse's RowBinary, each written straight from the message it came in: no strings and no objects
 * in between (strings until a join took three times the CPU, measured).
 */
export class EventBatch {
  bytes = Buffer.allocUnsafeSlow(initialBytes)
  length = 0
  /** Where each event ends, where its key stands, and which table it is of. */
  ends: number[] = []
  keyStarts: number[] = []
  keyEnds: number[] = []
  codecs: TableCodec[] = []
  /** Changes that are completed before they are written, in their order; then all changes stand here. */
  held: HeldChange[] | undefined
  truncations: Truncation[] = []
  deadLetters: DeadLetter[] = []
  unapplied: UnappliedChange[] = []
  /** Everything committed below it stands in this batch or an earlier one. */
  endLsn: bigint | undefined

  /** What the changes held take up. */
  heldBytes = 0

  get isEmpty(): boolean {
    return this.ends.length === 0 && !this.held && this.deadLetters.length === 0 && this.endLsn === undefined
  }

  /** The last event's place, and when it was committed. */
  get newest(): { version: bigint; committedAt: bigint } | undefined {
    const last = this.ends.length - 1
    if (last < 0) return undefined
    return {
      version: this.versionOf(last),
      committedAt: this.bytes.readBigInt64LE(this.#startOf(last) + 35),
    }
  }

  get eventCount(): number {
    return this.ends.length + (this.held?.length ?? 0)
  }

  reset(): void {
    if (this.bytes.length > keptBytes) this.bytes = Buffer.allocUnsafeSlow(initialBytes)
    this.length = 0
    this.ends = []
    this.keyStarts = []
    this.keyEnds = []
    this.codecs = []
    this.held = undefined
    this.heldBytes = 0
    this.truncations = []
    this.deadLetters = []
    this.unapplied = []
    this.endLsn = undefined
  }

  /**
   * Adds an event. A deleted row has its key only, as Debezium's rewritten deletes do.
   * @throws what a value's writer throws, leaving the batch as it was
   */
  append(header: EventHeader, codec: TableCodec, message: Buffer, fields: TupleFields): void {
    const start = this.length
    try {
      let messageBytes = 0
      for (let place = 0; place < fields.count; place++) {
        if (fields.starts[place]! >= 0) messageBytes += fields.ends[place]! - fields.starts[place]!
      }
      this.#reserve(codec, messageBytes)
      this.#writeHeader(header, codec)
      const { bytes } = this
      const rowLengthAt = this.length
      let at = rowLengthAt + lengthBytes
      bytes[at++] = 0x7b
      const columns = codec.columns
      const keyOnly = header.op === 'd'
      for (let place = 0; place < columns.length; place++) {
        const column = columns[place]!
        if (column.isOmitted || (keyOnly && !column.isKey)) continue
        if (bytes[at - 1] !== 0x7b) bytes[at++] = 0x2c
        at = writeBytesOf(column.label, bytes, at)
        const from = fields.starts[place]!
        at =
          from === nullField
            ? writeLatin1('null', bytes, at)
            : column.write(message, from, fields.ends[place]!, bytes, at)
      }
      this.#finish(header, codec, rowLengthAt, at, (place, target, position) => {
        const from = fields.starts[place]!
        return from === nullField
          ? writeLatin1('null', target, position)
          : codec.columns[place]!.write(message, from, fields.ends[place]!, target, position)
      })
    } catch (error) {
      this.length = start
      throw error
    }
  }

  /** Adds an event whose values are JSON already, in the order of the codec's columns. */
  appendJson(header: EventHeader, codec: TableCodec, values: readonly (Buffer | undefined)[]): void {
    const valueBytes = values.reduce((sum, value) => sum + (value?.length ?? 0), 0)
    this.#reserve(codec, valueBytes)
    this.#writeHeader(header, codec)
    const { bytes } = this
    const rowLengthAt = this.length
    let at = rowLengthAt + lengthBytes
    bytes[at++] = 0x7b
    codec.columns.forEach((column, place) => {
      const value = values[place]
      if (value === undefined) return
      if (bytes[at - 1] !== 0x7b) bytes[at++] = 0x2c
      at = writeBytesOf(column.label, bytes, at)
      at += value.copy(bytes, at)
    })
    this.#finish(
      header,
      codec,
      rowLengthAt,
      at,
      (place, target, position) => position + values[place]!.copy(target, position),
    )
  }

  /** Adds a change that has to be completed before it is written, or that comes after such a one. */
  hold(change: HeldChange): void {
    this.held ??= []
    this.held.push(change)
    for (const value of change.values) this.heldBytes += value?.length ?? 0
  }

  /** Adds a TRUNCATE's own event, which has no key. */
  appendTruncate(header: EventHeader, codec: TableCodec): void {
    this.#reserve(codec, 0)
    this.#writeHeader(header, codec)
    const rowLengthAt = this.length
    const at = rowLengthAt + lengthBytes
    this.bytes[at] = 0x7b
    this.#finish(header, codec, rowLengthAt, at + 1)
  }

  versionOf(event: number): bigint {
    const start = this.#startOf(event)
    return (this.bytes.readBigUInt64LE(start + 8) << 64n) | this.bytes.readBigUInt64LE(start)
  }

  /** What an event says, read back from its bytes. */
  describe(event: number): Omit<DeadLetter, 'reason' | 'encoding'> {
    const { bytes } = this
    const start = this.#startOf(event)
    const codec = this.codecs[event]!
    const rowAt = start + fixedBytes + codec.tableField.length + lengthBytes
    return {
      table: codec.qualifiedName,
      key: this.keyOf(event),
      version: this.versionOf(event).toString(),
      lsn: bytes.readBigUInt64LE(start + 16).toString(),
      op: bytes.toString('latin1', start + 25, start + 26),
      message: bytes.toString('utf8', rowAt, this.keyStarts[event]! - lengthBytes),
      committed_at: isoTime(bytes.readBigInt64LE(start + 35)),
    }
  }

  /** The key of an event, as JSON. */
  keyOf(event: number): string {
    return this.bytes.toString('utf8', this.keyStarts[event], this.keyEnds[event])
  }

  #startOf(event: number): number {
    return event === 0 ? 0 : this.ends[event - 1]!
  }

  #writeHeader(header: EventHeader, codec: TableCodec): void {
    const { bytes } = this
    const at = this.length
    writeUInt53(header.index, bytes, at)
    bytes.writeBigUInt64LE(header.position, at + 8)
    writeUInt53(header.lsn, bytes, at + 16)
    bytes[at + 24] = 1
    bytes[at + 25] = header.op.charCodeAt(0)
    bytes[at + 26] = header.op === 'd' ? 1 : 0
    writeUInt53(header.txId, bytes, at + 27)
    bytes.writeBigInt64LE(header.committedAt, at + 35)
    this.length = at + fixedBytes + codec.tableField.copy(bytes, at + fixedBytes)
  }

  /** Ends the row's JSON, fills in its length, and writes the key. */
  #finish(
    header: EventHeader,
    codec: TableCodec,
    rowLengthAt: number,
    endOfValues: number,
    writeKeyValue?: (place: number, target: Buffer, at: number) => number,
  ): void {
    const { bytes } = this
    const comma = bytes[endOfValues - 1] === 0x7b ? '' : ','
    const deleted = header.op === 'd'
    let at = writeLatin1(
      `${comma}"__op":"${header.op}","__deleted":"${deleted}","__source_lsn":${header.lsn},"__source_ts_ms":${header.committedAt / 1000n},"__source_table":`,
      bytes,
      endOfValues,
    )
    at += bytes.write(codec.sourceTable, at)
    at = writeLatin1(`,"__source_txId":${header.txId}}`, bytes, at)
    writeLength(at - rowLengthAt - lengthBytes, bytes, rowLengthAt)

    const keyLengthAt = at
    at += lengthBytes
    const keyStart = at
    if (writeKeyValue) {
      bytes[at++] = 0x7b
      for (const place of codec.keyPlaces) {
        if (at > keyStart + 1) bytes[at++] = 0x2c
        at = writeBytesOf(codec.columns[place]!.label, bytes, at)
        at = writeKeyValue(place, bytes, at)
      }
      bytes[at++] = 0x7d
    }
    writeLength(at - keyStart, bytes, keyLengthAt)
    this.length = at
    this.ends.push(at)
    this.keyStarts.push(keyStart)
    this.keyEnds.push(at)
    this.codecs.push(codec)
  }

  /** Makes room for an event whose values have this many bytes, and may stand in the row and in the key. */
  #reserve(codec: TableCodec, valueBytes: number): void {
    const perColumn = codec.columns.reduce((sum, column) => sum + column.label.length + maxOverhead, 0)
    const needed =
      this.length +
      fixedBytes +
      metadataBytes +
      codec.tableField.length * 3 +
      2 * (perColumn + maxGrowth * valueBytes)
    if (needed <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, needed))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }
}

function writeBytesOf(source: Buffer, target: Buffer, at: number): number {
  let position = at
  for (let index = 0; index < source.length; index++) target[position++] = source[index]!
  return position
}

function writeUInt53(value: number, target: Buffer, at: number): void {
  target.writeUInt32LE(value % 0x1_0000_0000, at)
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
}

function writeLength(length: number, target: Buffer, at: number): void {
  let rest = length
  for (let index = 0; index < lengthBytes - 1; index++) {
    target[at + index] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at + lengthBytes - 1] = rest
}
