import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { ChangeMessage } from './change-message.ts'
import { completeChanges, type IncompleteChange, type SourceRows } from './complete-changes.ts'
import { unavailableValue } from './derive-connector.ts'
import type { ReplicaTable } from './derive-table.ts'
import { jsonMembers } from './json-members.ts'
import { isoTime } from './positions.ts'
import { createTableCodec } from './table-codec.ts'

const unavailableJson = Buffer.from(JSON.stringify(unavailableValue))

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
  await warehouse.insertRows('cdc.events', held.filter(({ message }) => message.isIncomplete).map(eventOf))
}

function hold(replica: ReplicaTable, message: ChangeMessage): Held[] {
  if (message.op === 't') return []
  const members = jsonMembers(message.value)
  const names = [...members.keys()]
  const values = [...members.values()]
  const missing = values.flatMap((value, place) => (value.equals(unavailableJson) ? [place] : []))
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
