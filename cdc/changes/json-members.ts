const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a]
const opening = new Set([0x7b, 0x5b])
const closing = new Set([0x7d, 0x5d])

/**
 * The members of a row's JSON as they are written there. Parsing the values would change numbers beyond a
 * double's reach. The JSON is one of our own: an object, without blanks between its tokens.
 */
export function jsonMembers(json: Buffer): Map<string, Buffer> {
  const members = new Map<string, Buffer>()
  let at = 1
  while (at < json.length - 1) {
    const nameEnd = endOfString(json, at)
    const name: string = JSON.parse(json.toString('utf8', at, nameEnd))
    if (json[nameEnd] !== colon) throw new Error(`no member of an object at byte ${at}`)
    const valueEnd = endOfValue(json, nameEnd + 1)
    members.set(name, json.subarray(nameEnd + 1, valueEnd))
    at = valueEnd + 1
  }
  return members
}

function endOfString(json: Buffer, start: number): number {
  let at = start + 1
  while (json[at] !== quote) at += json[at] === backslash ? 2 : 1
  return at + 1
}

function endOfValue(json: Buffer, start: number): number {
  let depth = 0
  let at = start
  while (at < json.length) {
    const byte = json[at]!
    if (byte === quote) {
      at = endOfString(json, at)
      continue
    }
    if (depth === 0 && (byte === comma || closing.has(byte))) return at
    if (opening.has(byte)) depth++
    else if (closing.has(byte)) depth--
    at++
  }
  throw new Error(`the value at byte ${start} does not end`)
}
