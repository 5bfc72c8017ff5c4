import type { BatchQueue } from '../changes/batch-queue.ts'
import { undecodedLetter } from '../changes/dead-letters.ts'
import type { EventHeader } from '../changes/event-batch.ts'
import { holdChange } from '../changes/held-changes.ts'
import type { TableCodec } from '../changes/table-codec.ts'
import { nullField, TupleFields, unchangedField } from '../changes/tuple-fields.ts'
import { unappliedReasons } from '../changes/unapplied.ts'
import { cdcErrors } from '../errors.ts'
import { firstChangeIndex, versionAt } from '../source/lsn.ts'
import { type Relation, readRelation } from './relation.ts'

/** Microseconds from 1970 to PostgreSQL's epoch, 2000. */
const postgresEpoch = 946_684_800_000_000n
const xLogDataHeader = 25

export type DecoderOptions = {
  queue: BatchQueue
  /** Added to commit LSNs in versions. */
  versionOffset: bigint
  /** @throws TENDON-CDC-011 when the catalog has to be read again */
  codecFor: (relation: Relation, position: bigint) => TableCodec | undefined
  /** A table is described a second time, as it is after DDL. */
  onDescribedAgain: () => void
  /**
   * A NULL came where the catalog said there was none.
   * @throws TENDON-CDC-011 when the catalog has to be read again; if it says so still, the change is not applied
   */
  onUnexpectedNull: (codec: TableCodec, column: string) => void
}

/**
 * pgoutput, protocol version 1 (docs, "Logical Replication Message Formats"), into the batches of a queue. A
 * transaction comes whole, after its commit, so that commit order is the order of arrival.
 */
export class PgOutputDecoder {
  readonly #options: DecoderOptions
  readonly #codecs = new Map<number, TableCodec | undefined>()
  readonly #row = new TupleFields()
  readonly #former = new TupleFields()
  readonly #header: EventHeader = { position: 0n, index: 0, lsn: 0, op: 'c', txId: 0, committedAt: 0n }
  /** Between a Begin and its Commit. */
  inTransaction = false

  constructor(options: DecoderOptions) {
    this.#options = options
  }

  /** Takes one XLogData. What cannot be decoded becomes a dead letter, except for a change of the table's shape. */
  xLogData(message: Buffer, start: number, end: number): void {
    const header = this.#header
    header.lsn = message.readUInt32BE(start + 1) * 0x1_0000_0000 + message.readUInt32BE(start + 5)
    const at = start + xLogDataHeader
    const tag = message[at]!
    try {
      this.#message(tag, message, at + 1)
    } catch (error) {
      if (isSchemaChange(error)) throw error
      this.#deadLetter(tag, message.subarray(at, end), error)
    }
  }

  #message(tag: number, message: Buffer, at: number): void {
    switch (tag) {
      case 0x42 /* B */:
        this.#begin(message, at)
        return
      case 0x43 /* C */:
        this.#commit(message, at)
        return
      case 0x52 /* R */:
        this.#describe(readRelation(message, at))
        return
      case 0x49 /* I */:
        this.#insert(message, at)
        return
      case 0x55 /* U */:
        this.#update(message, at)
        return
      case 0x44 /* D */:
        this.#delete(message, at)
        return
      case 0x54 /* T */:
        this.#truncate(message, at)
        return
      case 0x59 /* Y: a type's name */:
      case 0x4f /* O: where a transaction came from */:
        return
      default:
        throw new Error(`unknown pgoutput message ${String.fromCharCode(tag)}`)
    }
  }

  #begin(message: Buffer, at: number): void {
    const header = this.#header
    header.position = message.readBigUInt64BE(at) + this.#options.versionOffset
    header.committedAt = message.readBigInt64BE(at + 8) + postgresEpoch
    header.txId = message.readUInt32BE(at + 16)
    header.index = firstChangeIndex - 1
    this.inTransaction = true
  }

  #commit(message: Buffer, at: number): void {
    this.inTransaction = false
    this.#options.queue.current.endLsn = message.readBigUInt64BE(at + 9)
  }

  #describe(relation: Relation): void {
    if (this.#codecs.has(relation.oid)) this.#options.onDescribedAgain()
    this.#codecs.set(relation.oid, this.#options.codecFor(relation, this.#header.position))
  }

  #insert(message: Buffer, at: number): void {
    const codec = this.#codecs.get(message.readUInt32BE(at))
    if (!codec) return
    this.#row.readTupleData(message, at + 5)
    this.#emit('c', codec, message, this.#row)
  }

  #update(message: Buffer, at: number): void {
    const codec = this.#codecs.get(message.readUInt32BE(at))
    if (!codec) return
    const row = this.#row
    const formerKind = message[at + 4]
    if (formerKind !== 0x4b /* K */ && formerKind !== 0x4f /* O */) {
      row.readTupleData(message, at + 5)
      this.#emit('u', codec, message, row)
      return
    }
    const former = this.#former
    const newTuple = former.readTupleData(message, at + 5)
    row.readTupleData(message, newTuple + 1)
    // Under REPLICA IDENTITY FULL the old row is there, out-of-line values and all.
    if (formerKind === 0x4f) takeUnchanged(row, former)
    const keyChanged = codec.keyPlaces.some((place) => !row.sameText(place, former, message))
    if (keyChanged) this.#emit('d', codec, message, former)
    // As Debezium has it: a row under another key is a new row.
    this.#emit(keyChanged ? 'c' : 'u', codec, message, row, keyChanged ? former : undefined)
  }

  #delete(message: Buffer, at: number): void {
    const codec = this.#codecs.get(message.readUInt32BE(at))
    if (!codec) return
    this.#row.readTupleData(message, at + 5)
    this.#emit('d', codec, message, this.#row)
  }

  #truncate(message: Buffer, at: number): void {
    const { queue } = this.#options
    const header = this.#header
    header.op = 't'
    for (let index = 0; index < message.readUInt32BE(at); index++) {
      const codec = this.#codecs.get(message.readUInt32BE(at + 5 + 4 * index))
      if (!codec) continue
      header.index++
      if (queue.current.held) queue.seal()
      queue.current.appendTruncate(header, codec)
      queue.current.truncations.push({ codec, header: { ...header } })
      // What comes after it must not be there when its tombstones are made.
      queue.seal()
    }
  }

  #emit(
    op: EventHeader['op'],
    codec: TableCodec,
    message: Buffer,
    row: TupleFields,
    former?: TupleFields,
  ): void {
    const { queue } = this.#options
    const header = this.#header
    header.op = op
    header.index++
    const { isIncomplete, hasUnexpectedNull } =
      op === 'd' ? { isIncomplete: false, hasUnexpectedNull: false } : this.#checkFields(codec, row)
    if (isIncomplete && !queue.current.held) {
      // What it has to be completed from may stand before it in the current batch.
      queue.seal()
    }
    if (isIncomplete || queue.current.held) {
      queue.current.hold(holdChange(header, codec, message, row, former))
    } else queue.current.append(header, codec, message, row)
    if (hasUnexpectedNull) {
      const version = versionAt(header.position, header.index)
      queue.current.unapplied.push({ table: codec.qualifiedName, version, reason: unappliedReasons.null })
    }
    queue.sealIfFull()
  }

  /** @returns whether a value is missing, and whether one is NULL that may not be */
  #checkFields(codec: TableCodec, row: TupleFields): { isIncomplete: boolean; hasUnexpectedNull: boolean } {
    let isIncomplete = false
    let hasUnexpectedNull = false
    for (let place = 0; place < codec.columns.length; place++) {
      const start = row.starts[place]!
      if (start >= 0) continue
      const column = codec.columns[place]!
      if (start === unchangedField && !column.isOmitted) isIncomplete = true
      if (start === nullField && column.notNull) {
        this.#options.onUnexpectedNull(codec, column.name)
        hasUnexpectedNull = true
      }
    }
    return { isIncomplete, hasUnexpectedNull }
  }

  #deadLetter(tag: number, message: Buffer, error: unknown): void {
    const header = this.#header
    const hasTable = tag === 0x49 || tag === 0x55 || tag === 0x44
    const codec = hasTable ? this.#codecs.get(message.readUInt32BE(1)) : undefined
    const letter = undecodedLetter(header, codec?.qualifiedName ?? '', message, error)
    this.#options.queue.current.deadLetters.push(letter)
  }
}

function takeUnchanged(row: TupleFields, former: TupleFields): void {
  for (let place = 0; place < row.count; place++) {
    if (row.starts[place] !== unchangedField) continue
    row.starts[place] = former.starts[place]!
    row.ends[place] = former.ends[place]!
  }
}

function isSchemaChange(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === cdcErrors.schemaChanged.code
}
