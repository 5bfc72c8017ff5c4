import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Spool, SpooledFile } from './spool.ts'
import { type InsertWithData, insertFromFile, readInsertWithData } from './statement-text.ts'

/** A statement's whole text, with the data of an INSERT in a file that the text reads from. */
export type ReceivedStatement = { sql: string; data: SpooledFile | undefined }

/**
 * Receives a statement: as ClickHouse's HTTP interface has it, the text is what the `query` parameter and the
 * body make together, and the data of an INSERT is what follows its FORMAT or VALUES.
 *
 * @throws when the client breaks off; nothing has run then.
 */
export async function receiveStatement(
  sql: Buffer,
  body: Readable | undefined,
  spool: Spool,
): Promise<ReceivedStatement> {
  // The text is looked at as latin1, where one character is one byte: data that follows it is not text.
  const insertInParameter = readInsertWithData(sql.toString('latin1'))
  if (insertInParameter) return receiveInsert(insertInParameter, sql, body, spool)

  const bytes = body ? await joinText(sql, body) : sql
  const insert = readInsertWithData(bytes.toString('latin1'))
  if (insert) return receiveInsert(insert, bytes, undefined, spool)
  return { sql: bytes.toString().trim(), data: undefined }
}

async function receiveInsert(
  insert: InsertWithData,
  bytes: Buffer,
  body: Readable | undefined,
  spool: Spool,
): Promise<ReceivedStatement> {
  const inlineData = bytes.subarray(insert.head.length)
  const data = await spool.write(dataStream(inlineData, body))
  const sql = Buffer.from(insertFromFile(insert, data.path), 'latin1').toString()
  return { sql, data }
}

function dataStream(inlineData: Buffer, body: Readable | undefined): Readable {
  if (!body) return Readable.from([inlineData], { objectMode: false })
  if (inlineData.length === 0) return body
  return Readable.from(
    (async function* () {
      yield inlineData
      yield* body
    })(),
    { objectMode: false },
  )
}

async function joinText(sql: Buffer, body: Readable): Promise<Buffer> {
  const rest = await buffer(body)
  return sql.length === 0 ? rest : Buffer.concat([sql, Buffer.from('\n'), rest])
}
