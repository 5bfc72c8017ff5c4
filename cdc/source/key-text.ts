import type { BaseType } from './base-types.ts'

const times = new Set(['date', 'timestamp', 'timestamptz'])

/** A value of a key as PostgreSQL reads it, from its JSON in the log (`changes/json-text.ts`, `changes/json-array.ts`). */
export function keyText(json: string, type: BaseType): string {
  return json.startsWith('"') ? textOf(String(JSON.parse(json)), type) : json
}

function textOf(text: string, type: BaseType): string {
  if (type.name === 'bytea') return `\\x${text}`
  if (times.has(type.name)) return timeOf(text)
  // Of other separators, or of dimensions that Connect has no schema for: PostgreSQL's text.
  return type.element && text.startsWith('[') ? arrayOf(text, type.element) : text
}

/** ISO 8601, whose year 0 is 1 BC; infinities are words in both. Without a zone it is UTC's, as the session's is. */
function timeOf(text: string): string {
  const parts = /^([+-]?)(\d{4,})(-\d\d-\d\d)(?:T([\d:.]+))?Z$/.exec(text)
  if (!parts) return text
  const [, sign, digits, monthAndDay, time] = parts
  const isBeforeChrist = sign === '-' || Number(digits) === 0
  const year = isBeforeChrist ? Number(digits) + 1 : Number(digits)
  return `${String(year).padStart(4, '0')}${monthAndDay}${time ? ` ${time}` : ''}${isBeforeChrist ? ' BC' : ''}`
}

/** Texts, brackets, commas, and all else: numbers, which keep all their digits, true, false and null. */
const tokens = /"(?:[^"\\]|\\.)*"|[[\]]|[^"[\]]+/g

/** Docs, "Array Input and Output Syntax". */
function arrayOf(json: string, element: BaseType): string {
  return json.replace(tokens, (token) => {
    if (token === '[') return '{'
    if (token === ']') return '}'
    return token.startsWith('"') ? `"${keyText(token, element).replace(/["\\]/g, '\\$&')}"` : token
  })
}
