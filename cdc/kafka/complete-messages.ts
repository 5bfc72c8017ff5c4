import type { Warehouse } from '@tendon/warehouse/client.ts'
import { completeChanges, type IncompleteChange, type SourceRows } from '../changes/complete-changes.ts'
import { jsonMembers } from '../changes/json-members.ts'
import { isoTime } from '../changes/positions.ts'
import { createTableCodec } from '../changes/table-codec.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { truncateReplica, truncatesAfter } from '../whole-tables/truncate-replica.ts'
import type { ChangeMessage } from './change-message.ts'
import { unavailableJson } from './derive-connector.ts'

const unavailable = Buffer.from(unavailableJson)

type Held = IncompleteChange & { message: ChangeMessage; names: string[] }

/**
 * Fills in the values that UPDATEs did not send (unchanged TOAST) from the change before, as the log has it, and puts
 * the whole events into the log. Doing so again changes nothing.
 * @param messages of one partition, in their order; everything before them must be visible
 */
export async function completeMessages(options: {
  warehouse: Warehouse
  replica: ReplicaTable
  messages: readonly ChangeMessage[]
  readSource: SourceRows
}): Promise<void> {
  const { warehouse, replica, messages, readSource } = options
  const first = messages.findIndex(({ isIncomplete }) => isIncomplete)
  if (first < 0) return
  const held = messages.slice(first).flatMap((message) => hold(replica, message))
  await completeChanges(warehouse, held, messages[first]!.version, readSource)
  const completed = held.filter(({ message }) => message.isIncomplete)
  await warehouse.insertRows('cdc.events', completed.map(eventOf))
  // A TRUNCATE that came another way has not seen these rows.
  const oldest = completed.reduce(
    (least, { message }) => min(least, message.version),
    completed[0]!.message.version,
  )
  for (const event of await truncatesAfter(warehouse, replica, oldest)) {
    await truncateReplica(warehouse, replica, event)
  }
}

const min = (a: bigint, b: bigint) => (a < b ? a : b)

function hold(replica: ReplicaTable, message: ChangeMessage): Held[] {
  if (message.op === 't') return []
  const members = jsonMembers(message.value)
  const names = [...members.keys()]
  const values = [...members.values()]
  const missing = values.flatMap((value, place) => (value.equals(unavailable) ? [place] : []))
  const { op, key, formerKey } = message
  return [
    {
      header: { op },
      codec: createTableCodec(replica, names),
      key,
      formerKey,
      values,
      missing,
      message,
      names,
    },
  ]
}

function eventOf({ message, names, values }: Held): Record<string, unknown> {
  const members = names.map((name, place) => `${JSON.stringify(name)}:${values[place]?.toString() ?? 'null'}`)
  return {
    table: message.table,
    key: message.key,
    version: message.version.toString(),
    lsn: message.lsn,
    op: message.op,
    deleted: 0,
    row: `{${members.join(',')}}`,
    tx_id: message.txId,
    committed_at: isoTime(message.committedAt),
    topic: message.topic,
    partition: message.partition,
    offset: message.offset.toString(),
  }
}
