import pg from 'pg'
import type { SourceRows } from '../changes/complete-changes.ts'
import { encodeValue } from '../changes/held-changes.ts'
import { jsonMembers } from '../changes/json-members.ts'
import type { CodecColumn, TableCodec } from '../changes/table-codec.ts'
import { pgRowsOf } from '../derive/sql-names.ts'
import { rawText } from './postgres-connection.ts'

/** Reads rows as they are at the source now, one query each: the log has nearly all of them. */
export function createSourceRows(connect: () => Promise<pg.Client>): SourceRows {
  return async (codec, keys) => {
    const found = new Map<string, Map<string, Buffer>>()
    const client = await connect()
    try {
      for (const key of keys) {
        const values = await readRow(client, codec, key)
        if (values) found.set(key, values)
      }
    } finally {
      await client.end()
    }
    return found
  }
}

async function readRow(
  client: pg.Client,
  codec: TableCodec,
  key: string,
): Promise<Map<string, Buffer> | undefined> {
  const members = jsonMembers(Buffer.from(key))
  const conditions = [...members.keys()].map((name, index) => `${pg.escapeIdentifier(name)} = $${index + 1}`)
  const columns = codec.columns.filter((column) => !column.isOmitted)
  const result = await client.query({
    text: `SELECT ${columns.map(({ name }) => pg.escapeIdentifier(name)).join(', ')}
           FROM ${pgRowsOf(codec.replica.source)} WHERE ${conditions.join(' AND ')}`,
    values: [...members.values()].map(keyText),
    rowMode: 'array',
    types: rawText,
  })
  const row: (string | null)[] | undefined = result.rows[0]
  return row && new Map(columns.map((column, index) => [column.name, jsonOfText(codec, column, row[index]!)]))
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
