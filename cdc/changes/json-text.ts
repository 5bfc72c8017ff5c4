/** Writes a value's text as JSON into `target` at `at`, which has room enough. @returns where it ends */
export type JsonWriter = (source: Buffer, start: number, end: number, target: Buffer, at: number) => number

/** Bytes that one byte of text can become (`\\u001f`, in the text of an array), and what a value needs beside them. */
export const maxGrowth = 7
export const maxOverhead = 64

const quote = 0x22
const backslash = 0x5c
const hexDigits = Buffer.from('0123456789ABCDEF')
/** As ClickHouse's toJSONString writes them, so that keys made there are the same. */
const shortEscapes = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
])
/** From here on one native copy is faster than a loop. */
const longText = 96

/** A JSON string. */
export const writeText: JsonWriter = (source, start, end, target, at) => {
  target[at] = quote
  const position =
    end - start >= longText && !needsEscape(source, start, end)
      ? at + 1 + source.copy(target, at + 1, start, end)
      : writeEscaped(source, start, end, target, at + 1)
  target[position] = quote
  return position + 1
}

function needsEscape(source: Buffer, start: number, end: number): boolean {
  for (let index = start; index < end; index++) {
    const byte = source[index]!
    if (byte < 0x20 || byte === quote || byte === backslash) return true
  }
  return false
}

/** What stands between the quotes of a JSON string (RFC 8259 §7). */
function writeEscaped(source: Buffer, start: number, end: number, target: Buffer, at: number): number {
  let position = at
  for (let index = start; index < end; index++) {
    const byte = source[index]!
    if (byte >= 0x20 && byte !== quote && byte !== backslash) {
      target[position++] = byte
      continue
    }
    target[position++] = backslash
    const short = byte === quote || byte === backslash ? byte : shortEscapes.get(byte)
    if (short !== undefined) {
      target[position++] = short
      continue
    }
    target[position++] = 0x75
    target[position++] = 0x30
    target[position++] = 0x30
    target[position++] = hexDigits[byte >> 4]!
    target[position++] = hexDigits[byte & 15]!
  }
  return position
}

/** A JSON number, from a text that is one already. */
export const writeNumber: JsonWriter = (source, start, end, target, at) => {
  let position = at
  for (let index = start; index < end; index++) target[position++] = source[index]!
  return position
}

/** NaN and the infinities are strings, as JSON has no numbers for them; -0 needs its point to keep its sign. */
export const writeFloat: JsonWriter = (source, start, end, target, at) => {
  const last = source[end - 1]!
  if (last < 0x30 || last > 0x39) return writeText(source, start, end, target, at)
  const position = writeNumber(source, start, end, target, at)
  const isNegativeZero = end - start === 2 && source[start] === 0x2d && source[start + 1] === 0x30
  return isNegativeZero ? writeLatin1('.0', target, position) : position
}

export const writeBoolean: JsonWriter = (source, start, _end, target, at) =>
  writeLatin1(source[start] === 0x74 ? 'true' : 'false', target, at)

/** bytea as hexadecimal digits, from `\x0a0b` (bytea_output = hex). */
export const writeBytes: JsonWriter = (source, start, end, target, at) =>
  writeText(source, start + 2, end, target, at)

/**
 * A date, timestamp or timestamptz as ISO 8601 in UTC, from PostgreSQL's text (datestyle ISO, timezone UTC):
 * `2024-01-02Z`, `2024-01-02T03:04:05.678Z`. Years before 1 and after 9999 have a sign, as Java writes them;
 * infinities stay words.
 */
export const writeTime: JsonWriter = (source, start, end, target, at) => {
  const isPlain = source[start + 4] === 0x2d && source[end - 1] !== 0x43 /* the C of BC */
  if (!isPlain) return writeUnusualTime(source, start, end, target, at)
  target[at] = quote
  let position = at + 1
  const zoneLength = end - start > 19 && source[end - 3] === 0x2b ? 3 : 0
  for (let index = start; index < end - zoneLength; index++) {
    const byte = source[index]!
    target[position++] = byte === 0x20 ? 0x54 : byte
  }
  target[position++] = 0x5a
  target[position++] = quote
  return position
}

function writeUnusualTime(source: Buffer, start: number, end: number, target: Buffer, at: number): number {
  return writeLatin1(JSON.stringify(isoTime(source.toString('latin1', start, end))), target, at)
}

function isoTime(text: string): string {
  const parts = /^(\d+)(-\d\d-\d\d)(?: ([\d:.]+)(?:\+00)?)?( BC)?$/.exec(text)
  if (!parts) return text
  const [, digits, monthAndDay, time, isBeforeChrist] = parts
  // ISO 8601 has a year 0, which is 1 BC.
  const year = isBeforeChrist ? 1 - Number(digits) : Number(digits)
  const sign = year < 0 ? '-' : year > 9999 ? '+' : ''
  return `${sign}${String(Math.abs(year)).padStart(4, '0')}${monthAndDay}${time ? `T${time}` : ''}Z`
}

export function writeLatin1(text: string, target: Buffer, at: number): number {
  return at + target.write(text, at, 'latin1')
}
