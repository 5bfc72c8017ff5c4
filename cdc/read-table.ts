import pg from 'pg'
import type { BatchQueue } from './batch-queue.ts'
import { undecodedLetter } from './dead-letters.ts'
import type { ReplicaTable } from './derive-table.ts'
import type { EventHeader } from './event-batch.ts'
import { keyOf } from './held-changes.ts'
import type { ReplicationConnection } from './replication-connection.ts'
import { pgRowsOf } from './sql-names.ts'
import { createTableCodec } from './table-codec.ts'
import { TupleFields } from './tuple-fields.ts'

/**
 * Reads a table whole, as the connection's transaction sees it, each row into an event.
 * @param options.headerOf what stands before a row; its key as in `cdc.events` is only made when it is asked for
 * @returns how many rows it has
 */
export async function readTable(options: {
  connection: ReplicationConnection
  replica: ReplicaTable
  queue: BatchQueue
  headerOf: (key: () => string) => EventHeader
  onRows?: (rows: number) => void
}): Promise<number> {
  const { connection, replica, queue, headerOf, onRows } = options
  const names = replica.source.columns.map(({ name }) => name)
  const codec = createTableCodec(replica, names)
  const fields = new TupleFields()
  let rows = 0
  const columns = names.map((name) => pg.escapeIdentifier(name)).join(', ')
  await connection.query(`SELECT ${columns} FROM ${pgRowsOf(replica.source)}`, (message, at, end) => {
    fields.readDataRow(message, at)
    const header = headerOf(() => keyOf(codec, message, fields))
    try {
      queue.current.append(header, codec, message, fields)
    } catch (error) {
      const row = message.subarray(at, end)
      queue.current.deadLetters.push(undecodedLetter(header, codec.qualifiedName, row, error))
    }
    rows++
    queue.sealIfFull()
    queue.arrived()
    onRows?.(rows)
  })
  return rows
}
