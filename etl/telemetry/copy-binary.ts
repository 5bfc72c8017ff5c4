/**
 * PostgreSQL's binary COPY format (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"), read
 * into columns: no object is made for a row, and numbers never pass through text.
 */

/** Takes the fields of one column, in row order. `length` is -1 for null. */
export type CopyColumn = { append(bytes: Buffer, start: number, length: number): void }

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
const headerLength = signature.length + 8
/** Flag bits 16 to 31 mark what a reader must know to go on; none is in use. */
const criticalFlags = 0xff_ff_00_00
const trailer = -1
/** PostgreSQL counts the microseconds of its binary timestamps from 2000-01-01. */
export const postgresEpochUs = Date.UTC(2000, 0, 1) * 1000

/**
 * Reads a whole COPY stream, whose chunks may end anywhere, and gives each field to its column.
 * @param afterChunk is waited for before the next chunk is read: PostgreSQL waits too
 * @returns how many rows there were
 * @throws Error when the stream is not binary COPY, has other columns, or ends early
 */
export async function readCopyBinary(
  chunks: AsyncIterable<Buffer>,
  columns: readonly CopyColumn[],
  afterChunk?: () => Promise<void>,
): Promise<number> {
  // The beginning of a row, and how long the row is at least.
  let pending: Buffer[] = []
  let pendingBytes = 0
  let rowBytes = 0
  let rows = 0
  let state = 'header' as 'header' | 'rows' | 'ended'

  /** Reads what is whole, `most` rows at most. @returns where it stopped */
  function readRows(bytes: Buffer, most: number): number {
    let offset = 0
    rowBytes = 0
    if (state === 'header') {
      const end = readHeader(bytes)
      if (end === undefined) return 0
      offset = end
      state = 'rows'
    }
    for (let read = 0; read < most && bytes.length - offset >= 2; read++) {
      if (bytes.readInt16BE(offset) === trailer) {
        state = 'ended'
        break
      }
      const end = rowEnd(bytes, offset, columns.length)
      if (end > bytes.length) {
        rowBytes = end - offset
        break
      }
      readRow(bytes, offset, columns)
      rows += 1
      offset = end
    }
    return offset
  }

  function readRest(bytes: Buffer): void {
    const rest = bytes.subarray(readRows(bytes, Number.POSITIVE_INFINITY))
    pending = rest.length > 0 ? [rest] : []
    pendingBytes = rest.length
  }

  function readChunk(chunk: Buffer): void {
    if (state === 'ended') return
    if (pendingBytes === 0) {
      readRest(chunk)
      return
    }
    if (pendingBytes + chunk.length < rowBytes) {
      pending.push(chunk)
      pendingBytes += chunk.length
      return
    }
    // The row that was cut is put together with what it lacks: joining whole chunks copied everything once more.
    const lacking = Math.max(joinedBytes, rowBytes - pendingBytes)
    const joined = Buffer.concat([...pending, chunk.subarray(0, lacking)])
    const end = readRows(joined, 1)
    if (end > pendingBytes) readRest(chunk.subarray(end - pendingBytes))
    else readRest(chunk.length > lacking ? Buffer.concat([joined, chunk.subarray(lacking)]) : joined)
  }

  for await (const chunk of chunks) {
    readChunk(chunk)
    await afterChunk?.()
  }
  if (state !== 'ended') throw new Error(`The COPY stream ended after ${rows} rows without its trailer`)
  return rows
}

const joinedBytes = 16_384

/** Where the rows begin; undefined while the header is not all there. */
function readHeader(bytes: Buffer): number | undefined {
  if (bytes.length < headerLength) return undefined
  if (bytes.compare(signature, 0, signature.length, 0, signature.length) !== 0)
    throw new Error('The COPY stream does not begin with the signature of the binary format')
  if ((bytes.readUInt32BE(signature.length) & criticalFlags) !== 0)
    throw new Error('The COPY stream uses flags that are not known')
  const end = headerLength + bytes.readUInt32BE(signature.length + 4)
  return bytes.length < end ? undefined : end
}

/** Where the row that begins at `offset` ends, as far as its bytes tell: behind the last of them while they are not all there. */
function rowEnd(bytes: Buffer, offset: number, columnCount: number): number {
  const fieldCount = bytes.readInt16BE(offset)
  if (fieldCount !== columnCount)
    throw new Error(`The COPY stream has rows of ${fieldCount} fields where ${columnCount} are expected`)
  let end = offset + 2
  for (let field = 0; field < fieldCount; field++) {
    if (bytes.length - end < 4) return end + 4
    end += 4 + Math.max(0, bytes.readInt32BE(end))
  }
  return end
}

function readRow(bytes: Buffer, offset: number, columns: readonly CopyColumn[]): void {
  let position = offset + 2
  for (const column of columns) {
    const length = bytes.readInt32BE(position)
    column.append(bytes, position + 4, length)
    position += 4 + Math.max(0, length)
  }
}

/** A column of timestamptz that is never null, in microseconds since 1970. */
export function createTimestampColumn(): CopyColumn & { values(): number[] } {
  const values: number[] = []
  return {
    append(bytes, start, length) {
      if (length !== 8) throw new Error(`A timestamptz has 8 bytes, not ${length}`)
      values.push(bytes.readInt32BE(start) * 0x1_0000_0000 + bytes.readUInt32BE(start + 4) + postgresEpochUs)
    },
    values: () => values,
  }
}

/** A column of text in UTF-8 that is never null. */
export function createTextColumn(): CopyColumn & { values(): string[] } {
  const values: string[] = []
  return {
    append(bytes, start, length) {
      values.push(readText(bytes, start, length))
    },
    values: () => values,
  }
}

/** The same, of which the value of the row that is being read is kept, and no other. */
export function createKeyColumn(): CopyColumn & { value(): string } {
  let value = ''
  return {
    append(bytes, start, length) {
      value = readText(bytes, start, length)
    },
    value: () => value,
  }
}

function readText(bytes: Buffer, start: number, length: number): string {
  if (length === -1) throw new Error('A text column that is never null holds a null')
  return bytes.toString('utf8', start, start + length)
}

/** A column of bytea that is handed on at once, and not kept; null is no bytes. */
export function createPackedRowsColumn(take: (bytes: Buffer) => void): CopyColumn {
  return {
    append(bytes, start, length) {
      take(bytes.subarray(start, start + Math.max(0, length)))
    },
  }
}
