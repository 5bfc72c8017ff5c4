/**
 * A ClickHouse string literal of any bytes, in plain ASCII.
 *
 * Whatever is not a printable ASCII character is written as `\xHH`, and so are the quote and the backslash:
 * nothing in the value can end the literal, and bytes that are not UTF-8 (or NUL) arrive as they are.
 */
export function sqlLiteral(value: Buffer | string): string {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return `'${bytes.toString('latin1').replace(/[^\x20-\x26\x28-\x5b\x5d-\x7e]/g, hexEscape)}'`
}

/** A quoted ClickHouse identifier; the quotes take the same escapes as those of a string. */
export function sqlIdentifier(name: string): string {
  return `\`${Buffer.from(name)
    .toString('latin1')
    .replace(/[^\x20-\x5b\x5d-\x5f\x61-\x7e]/g, hexEscape)}\``
}

function hexEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
}
