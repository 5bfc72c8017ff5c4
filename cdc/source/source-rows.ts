import pg from 'pg'
import type { SourceRows } from '../changes/complete-changes.ts'
import { encodeValue } from '../changes/held-changes.ts'
import { jsonMembers } from '../changes/json-members.ts'
import type { CodecColumn, TableCodec } from '../changes/table-codec.ts'
import { pgRowsOf } from '../derive/sql-names.ts'
import { rawText } from './postgres-connection.ts'

const keysPerQuery = 100

/** Reads rows as they are at the source now. */
export function createSourceRows(connect: () => Promise<pg.Client>): SourceRows {
  return async (codec, keys) => {
    const found = new Map<string, Map<string, Buffer>>()
    const client = await connect()
    try {
      for (let from = 0; from < keys.length; from += keysPerQuery) {
        const some = keys.slice(from, from + keysPerQuery)
        for (const [key, values] of await readRows(client, codec, some)) found.set(key, values)
      }
    } finally {
      await client.end()
    }
    return found
  }
}

/** A SELECT for each key: the values of a key have its columns' types then, whatever those are, and its index is used. */
async function readRows(
  client: pg.Client,
  codec: TableCodec,
  keys: readonly string[],
): Promise<[string, Map<string, Buffer>][]> {
  const columns = codec.columns.filter((column) => !column.isOmitted)
  const list = columns.map(({ name }) => pg.escapeIdentifier(name)).join(', ')
  const values: string[] = []
  const selects = keys.map((key, index) => {
    const conditions = [...jsonMembers(Buffer.from(key))].map(
      ([name, json]) => `${pg.escapeIdentifier(name)} = $${values.push(keyText(json))}`,
    )
    return `SELECT ${index}, ${list} FROM ${pgRowsOf(codec.replica.source)} WHERE ${conditions.join(' AND ')}`
  })
  const text = selects.join(' UNION ALL ')
  const result = await client.query({ text, values, rowMode: 'array', types: rawText })
  const rows: (string | null)[][] = result.rows
  return rows.map(([index, ...row]) => [
    keys[Number(index)]!,
    new Map(columns.map((column, place) => [column.name, jsonOfText(codec, column, row[place]!)])),
  ])
}

/** A value as JSON, from PostgreSQL's text. */
export function jsonOfText(codec: TableCodec, column: CodecColumn, text: string | null): Buffer {
  if (text === null) return Buffer.from('null')
  const bytes = Buffer.from(text)
  return encodeValue(codec, codec.columns.indexOf(column), bytes, 0, bytes.length)
}

/** A key's value as PostgreSQL reads it: what is written as a JSON string is text there, ISO times included. */
function keyText(json: Buffer): string {
  const text = json.toString()
  return text.startsWith('"') ? String(JSON.parse(text)) : text
}
