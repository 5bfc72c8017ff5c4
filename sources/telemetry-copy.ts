/**
 * Rows of `telemetry_events` in the binary format of COPY (PostgreSQL docs, "COPY", Binary Format): values are
 * written as the server keeps them, straight into a Buffer, with no object or string a row.
 */

/** The columns written, in this order; the others get their defaults. */
export const telemetryCopySql = `
  COPY telemetry_events
    (chip_id, signal, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms)
  FROM STDIN (FORMAT binary)`

export type TelemetryCopyWriter = {
  /** How many rows have been written. */
  rows: number
  /**
   * @param recordedAtMs since 1970
   * @param responseTimeMs, movementCount, activeMs: undefined is NULL
   */
  write(
    chipId: Buffer,
    signal: Buffer,
    recordedAtMs: number,
    batteryPercent: number,
    errorCode: Buffer | undefined,
    responseTimeMs: number | undefined,
    movementCount: number | undefined,
    activeMs: number | undefined,
  ): void
  /** What was written since the last call, in pieces. */
  take(): Buffer[]
}

const chunkBytes = 256 * 1024
const maxRowBytes = 512
const columnCount = 8
/** PostgreSQL counts microseconds from 2000-01-01. */
const postgresEpochMs = Date.UTC(2000, 0, 1)

const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** Signature, no flags, no extension. */
export const copyHeader = Buffer.concat([signature, Buffer.alloc(8)])
/** A field count of -1. */
export const copyTrailer = Buffer.from([0xff, 0xff])

export function createTelemetryCopyWriter(): TelemetryCopyWriter {
  let chunk = Buffer.allocUnsafeSlow(chunkBytes)
  let length = 0
  let full: Buffer[] = []

  const writeBytes = (value: Buffer | undefined) => {
    if (value === undefined) {
      length = chunk.writeInt32BE(-1, length)
      return
    }
    length = chunk.writeInt32BE(value.length, length)
    length += value.copy(chunk, length)
  }
  const writeInt32 = (value: number | undefined) => {
    if (value === undefined) {
      length = chunk.writeInt32BE(-1, length)
      return
    }
    length = chunk.writeInt32BE(4, length)
    length = chunk.writeInt32BE(value, length)
  }

  return {
    rows: 0,
    write(chipId, signal, recordedAtMs, batteryPercent, errorCode, responseTimeMs, movementCount, activeMs) {
      if (length + maxRowBytes > chunkBytes) {
        full.push(chunk.subarray(0, length))
        chunk = Buffer.allocUnsafeSlow(chunkBytes)
        length = 0
      }
      length = chunk.writeInt16BE(columnCount, length)
      writeBytes(chipId)
      writeBytes(signal)
      length = chunk.writeInt32BE(8, length)
      // Two halves: a BigInt a row would be an object a row. Microseconds since 2000 are exact below 2^53.
      const microseconds = (recordedAtMs - postgresEpochMs) * 1000
      length = chunk.writeInt32BE(Math.floor(microseconds / 0x1_0000_0000), length)
      length = chunk.writeUInt32BE(microseconds % 0x1_0000_0000, length)
      if (responseTimeMs === undefined) {
        length = chunk.writeInt32BE(-1, length)
      } else {
        length = chunk.writeInt32BE(4, length)
        length = chunk.writeFloatBE(responseTimeMs, length)
      }
      length = chunk.writeInt32BE(2, length)
      length = chunk.writeInt16BE(batteryPercent, length)
      writeBytes(errorCode)
      writeInt32(movementCount)
      writeInt32(activeMs)
      this.rows += 1
    },
    take() {
      const taken = [...full, chunk.subarray(0, length)]
      full = []
      chunk = Buffer.allocUnsafeSlow(chunkBytes)
      length = 0
      return taken
    },
  }
}
