import { type JsonWriter, maxGrowth, maxOverhead, writeText } from './json-text.ts'

const [open, close, comma, quote, backslash, equals] = [0x7b, 0x7d, 0x2c, 0x22, 0x5c, 0x3d]
const nullText = Buffer.from('null')

/**
 * A text that holds an array as a JSON array, as it comes by Kafka: Connect's schemas have none whose dimensions differ.
 * What it writes throws when the text is no array's.
 */
export function arrayWriter(writeElement: JsonWriter): JsonWriter {
  const writeArray = jsonArrayWriter(writeElement)
  return (source, start, end, target, at) => {
    const json = Buffer.allocUnsafe((end - start) * maxGrowth + maxOverhead)
    return writeText(json, 0, writeArray(source, start, end, json, 0), target, at)
  }
}

/**
 * A JSON array, from PostgreSQL's text (docs, "Array Input and Output Syntax"): `{1,NULL,"a,b"}`, nested for each
 * dimension. Bounds that stand in front (`[0:1]={…}`) have no place in JSON and are left out.
 */
function jsonArrayWriter(writeElement: JsonWriter): JsonWriter {
  return (source, start, end, target, at) => {
    let position = at
    let index = startOfElements(source, start, end)
    while (index < end) {
      const byte = source[index]!
      if (byte === open) target[position++] = 0x5b
      else if (byte === close) target[position++] = 0x5d
      else if (byte === comma) target[position++] = comma
      else if (byte === quote) {
        const element = unquoted(source, index + 1)
        position = writeElement(element.text, 0, element.text.length, target, position)
        index = element.end
        continue
      } else {
        const elementEnd = endOfBareElement(source, index, end)
        const isNull = elementEnd - index === 4 && source.toString('latin1', index, elementEnd) === 'NULL'
        position = isNull
          ? position + nullText.copy(target, position)
          : writeElement(source, index, elementEnd, target, position)
        index = elementEnd
        continue
      }
      index++
    }
    return position
  }
}

function startOfElements(source: Buffer, start: number, end: number): number {
  const first = source[start] === open ? start : source.indexOf(equals, start) + 1
  if (first < start || first >= end || source[first] !== open)
    throw new Error('The text of an array does not begin with {.')
  return first
}

function endOfBareElement(source: Buffer, start: number, end: number): number {
  let index = start
  while (index < end && source[index] !== comma && source[index] !== close) index++
  return index
}

/** The element whose opening quote stands before `start`. A backslash takes the next byte as it is. */
function unquoted(source: Buffer, start: number): { text: Buffer; end: number } {
  let index = start
  let escapes = 0
  while (source[index] !== quote) {
    if (source[index] === backslash) {
      index++
      escapes++
    }
    index++
  }
  if (escapes === 0) return { text: source.subarray(start, index), end: index + 1 }
  const text = Buffer.allocUnsafe(index - start - escapes)
  let length = 0
  for (let from = start; from < index; from++) {
    if (source[from] === backslash) from++
    text[length++] = source[from]!
  }
  return { text, end: index + 1 }
}
