/** A field that is NULL, and one that an UPDATE left as it was and did not send (unchanged TOAST). */
export const nullField = -1
export const unchangedField = -2

/**
 * Where the values of one row stand in a message, as text. One object is used over and over: a row of its own
 * for each of 100,000 changes a second would keep the garbage collector busy.
 */
export class TupleFields {
  starts = new Int32Array(64)
  ends = new Int32Array(64)
  count = 0

  /** Reads pgoutput's TupleData. @returns where it ends */
  readTupleData(message: Buffer, at: number): number {
    let position = at + 2
    this.#resize(message.readUInt16BE(at))
    for (let index = 0; index < this.count; index++) {
      const kind = message[position++]
      if (kind === 0x74 /* t: text */) {
        const length = message.readUInt32BE(position)
        this.starts[index] = position + 4
        position += 4 + length
        this.ends[index] = position
      } else if (kind === 0x6e /* n */) this.starts[index] = nullField
      else if (kind === 0x75 /* u */) this.starts[index] = unchangedField
      else throw new Error(`TupleData has a field of the unknown kind ${kind}`)
    }
    return position
  }

  /** Reads the protocol's DataRow, as a SELECT answers it. */
  readDataRow(message: Buffer, at: number): void {
    let position = at + 2
    this.#resize(message.readUInt16BE(at))
    for (let index = 0; index < this.count; index++) {
      const length = message.readInt32BE(position)
      position += 4
      if (length < 0) {
        this.starts[index] = nullField
        continue
      }
      this.starts[index] = position
      position += length
      this.ends[index] = position
    }
  }

  /** Whether a field has the same text as another row's, both read from the same message. */
  sameText(index: number, other: TupleFields, message: Buffer): boolean {
    const [start, otherStart] = [this.starts[index]!, other.starts[index]!]
    if (start < 0 || otherStart < 0) return start === otherStart
    return message.compare(message, otherStart, other.ends[index]!, start, this.ends[index]!) === 0
  }

  #resize(count: number): void {
    this.count = count
    if (count <= this.starts.length) return
    this.starts = new Int32Array(count)
    this.ends = new Int32Array(count)
  }
}
