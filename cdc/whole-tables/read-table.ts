import pg from 'pg'
import type { BatchQueue } from '../changes/batch-queue.ts'
import { undecodedLetter } from '../changes/dead-letters.ts'
import type { EventHeader } from '../changes/event-batch.ts'
import { keyOf } from '../changes/held-changes.ts'
import { createTableCodec } from '../changes/table-codec.ts'
import { TupleFields } from '../changes/tuple-fields.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { pgRowsOf } from '../derive/sql-names.ts'
import type { ReplicationConnection } from '../source/replication-connection.ts'

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
