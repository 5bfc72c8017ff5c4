import pg from 'pg'
import type { SourceRows } from './complete-changes.ts'
import { encodeValue } from './held-changes.ts'
import { jsonMembers } from './json-members.ts'
import { rawText } from './postgres-connection.ts'
import { pgRowsOf } from './sql-names.ts'
import type { TableCodec } from './table-codec.ts'

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
  if (!row) return undefined
  return new Map(
    columns.map(({ name }, index) => {
      const text = row[index]
      if (text === null || text === undefined) return [name, Buffer.from('null')]
      const bytes = Buffer.from(text)
      return [
        name,
        encodeValue(
          codec,
          codec.columns.findIndex((c) => c.name === name),
          bytes,
          0,
          bytes.length,
        ),
      ]
    }),
  )
}

/** A key's value as PostgreSQL reads it: what is written as a JSON string is text there, ISO times included. */
function keyText(json: Buffer): string {
  const text = json.toString()
  return text.startsWith('"') ? String(JSON.parse(text)) : text
}
