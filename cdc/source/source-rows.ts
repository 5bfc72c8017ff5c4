import pg from 'pg'
import type { SourceRows } from '../changes/complete-changes.ts'
import { encodeValue } from '../changes/held-changes.ts'
import { jsonMembers } from '../changes/json-members.ts'
import type { CodecColumn, TableCodec } from '../changes/table-codec.ts'
import { pgRowsOf } from '../derive/sql-names.ts'
import { keyText } from './key-text.ts'
import { rawText } from './postgres-connection.ts'

/** Of one statement: keys, and columns of all of them (PostgreSQL takes 1,664 in a list, and plans each SELECT). */
const [maxKeys, maxColumns] = [100, 2_000]
/** Whoever changes a table's shape may wait behind somebody else for long. */
const lockTimeoutMs = 5_000

/** Reads rows as they are at the source now. */
export function createSourceRows(connect: () => Promise<pg.Client>): SourceRows {
  return async (codec, keys, columns) => {
    const carried = columns.filter((column) => !column.isOmitted)
    const found = new Map<string, Map<string, Buffer>>()
    const client = await connect()
    try {
      await client.query(`SET lock_timeout = ${lockTimeoutMs}`)
      const size = Math.max(1, Math.min(maxKeys, Math.floor(maxColumns / carried.length)))
      for (let from = 0; from < keys.length; from += size) {
        const some = keys.slice(from, from + size)
        for (const [key, values] of await readGood(client, codec, some, carried)) found.set(key, values)
      }
    } finally {
      await client.end()
    }
    return found
  }
}

/** A key that is none of the column's type, as one of before another type, is no row's any more. */
async function readGood(
  ...[client, codec, keys, columns]: Parameters<typeof readRows>
): ReturnType<typeof readRows> {
  try {
    return await readRows(client, codec, keys, columns)
  } catch (err) {
    const isDataException = err instanceof pg.DatabaseError && err.code?.startsWith('22')
    if (!isDataException) throw err
    if (keys.length === 1) return []
    const half = Math.ceil(keys.length / 2)
    return [
      ...(await readGood(client, codec, keys.slice(0, half), columns)),
      ...(await readGood(client, codec, keys.slice(half), columns)),
    ]
  }
}

/** A SELECT for each key: the values of a key have its columns' types then, whatever those are, and its index is used. */
async function readRows(
  client: pg.Client,
  codec: TableCodec,
  keys: readonly string[],
  columns: TableCodec['columns'],
): Promise<[string, Map<string, Buffer>][]> {
  const { source } = codec.replica
  const list = columns.map(({ name }) => `, ${pg.escapeIdentifier(name)}`).join('')
  const values: string[] = []
  const selects = keys.map((key, index) => {
    const conditions = [...jsonMembers(Buffer.from(key))].map(([name, json]) => {
      const { type } = source.columns.find((column) => column.name === name)!
      return `${pg.escapeIdentifier(name)} = $${values.push(keyText(json.toString(), type))}`
    })
    return `SELECT ${index}${list} FROM ${pgRowsOf(source)} WHERE ${conditions.join(' AND ')}`
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
