import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { SourceRows } from '../changes/complete-changes.ts'
import type { Position } from '../changes/positions.ts'
import { keepUnapplied, unappliedReasons } from '../changes/unapplied.ts'
import type { Catalog } from '../derive/catalog.ts'
import type { ColumnMapping } from '../derive/column-mapping.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import type { FeedMetrics } from '../feed-metrics.ts'
import { highest } from '../highest.ts'
import { retry } from '../retry.ts'
import { createNameCheck } from '../source/misread-columns.ts'
import { addKey, type TableChanges } from '../telling/concerned-users.ts'
import type { Tell } from '../telling/teller.ts'
import { truncateReplica } from '../whole-tables/truncate-replica.ts'
import type { ChangeMessage } from './change-message.ts'
import { completeMessages } from './complete-messages.ts'
import { unavailableValue } from './derive-connector.ts'
import { awaitedEnds, type KafkaProgress, type Offsets } from './kafka-progress.ts'
import type { MisreadTables } from './misread-tables.ts'

export type NewestChange = Pick<Position, 'version' | 'committedAt'>

/** Messages of one partition, in their order. */
export type ChangeBatch = {
  messages: ChangeMessage[]
  /** Where its partition stands after them. */
  end: Offsets
}

/**
 * What the worker does with the changes of a batch: waits until ClickHouse shows them, completes what it could not apply
 * by itself (unchanged TOAST, TRUNCATE), and invalidates the users concerned. Doing so again changes nothing.
 */
export function createBatchHandler(options: {
  progress: KafkaProgress
  catalog: Catalog
  warehouse: Warehouse
  readSource: SourceRows
  tell: Tell
  /** Resolves when everything committed at the source up to an LSN is in Kafka. */
  inKafka: (lsn: bigint, signal: AbortSignal) => Promise<void>
  /** A message that does not go with the catalog, which must have changed. */
  onOtherShape: (what: string) => void
  onMisread: MisreadTables['note']
  /** Resolves when the catalog is read again and is the same. */
  confirmCatalog: () => Promise<void>
  /** Called before anybody is told to look again: the reports they get say which changes they have seen. */
  onVisible: (newest: NewestChange) => Promise<void>
  log: Log
  metrics: FeedMetrics
}): (batch: ChangeBatch, signal: AbortSignal) => Promise<void> {
  const { progress, catalog, warehouse, readSource, tell, log, metrics } = options
  const { inKafka, onOtherShape, onMisread, confirmCatalog, onVisible } = options
  const replicas = new Map(catalog.replicas.map((replica) => [replica.source.qualifiedName, replica]))
  const types = new Map(catalog.replicas.map((replica) => [replica.source.qualifiedName, typesOf(replica)]))
  const areOfOtherTime = new Map(
    catalog.replicas.map(({ source }) => [source.qualifiedName, createNameCheck(source, comesInItsPlace)]),
  )

  async function handle({ messages, end }: ChangeBatch, signal: AbortSignal): Promise<void> {
    await progress.visible(end, signal)
    await complete(messages, signal)
    await keepOfOtherType(messages, signal)
    await truncate(messages, signal)
    metrics.received(messages)
    const newest = newestOf(messages)
    if (!newest) return
    await onVisible(newest)
    await tellOf(messages, signal)
  }

  async function complete(messages: ChangeMessage[], signal: AbortSignal): Promise<void> {
    for (const [table, some] of Map.groupBy(messages, (message) => message.table)) {
      const replica = replicas.get(table)
      if (!replica) continue
      for (const message of some) compareShape(message)
      const misread = some.findLast(({ columns }) => areOfOtherTime.get(table)!(columns.keys()))
      if (misread) await onMisread(misread)
      await retry('completing changes', { signal, log }, () =>
        completeMessages({ warehouse, replica, messages: some, readSource }),
      )
    }
  }

  function compareShape({ table, columns }: ChangeMessage): void {
    const known = types.get(table)!
    for (const name of columns.keys()) if (!known.has(name)) onOtherShape(`${table}.${name} is new`)
  }

  /** ClickHouse has not applied a value that is not of its column's type: the column is another by now, or the change is kept. */
  async function keepOfOtherType(messages: ChangeMessage[], signal: AbortSignal): Promise<void> {
    const unapplied = messages.flatMap(({ table, op, version, columns }) => {
      const isOfType = op === 'd' ? undefined : types.get(table)
      // A value that was not sent is of no type; the completed change has the one of before.
      const ofOtherType = [...columns].find(
        ([name, value]) => value !== unavailableValue && isOfType?.get(name)?.(value) === false,
      )
      if (!ofOtherType) return []
      const reason = ofOtherType[1] === null ? unappliedReasons.null : unappliedReasons.type
      return { table, version, reason }
    })
    if (unapplied.length === 0) return
    await confirmCatalog()
    const tables = [...new Set(unapplied.map(({ table }) => table))]
    log.error(
      { tables, count: unapplied.length },
      'changes that could not be applied are in cdc.dead_letters, unless their table is read whole',
    )
    await retry('storing dead letters', { signal, log }, () => keepUnapplied(warehouse, unapplied))
  }

  /**
   * Every row older than a TRUNCATE gets a tombstone. Rows that were there before may still be on their way through
   * other partitions; they are waited for, since what is not there yet cannot be told to be gone: once for a batch.
   */
  async function truncate(messages: ChangeMessage[], signal: AbortSignal): Promise<void> {
    const truncates = messages.filter(({ op, table }) => op === 't' && replicas.has(table))
    if (truncates.length === 0) return
    await inKafka(highest(...truncates.map(({ lsn }) => BigInt(lsn))), signal)
    await progress.visible(awaitedEnds(await progress.bounds()), signal)
    for (const { table, version, lsn, txId, committedAt } of truncates) {
      await retry('truncating a replica', { signal, log }, () =>
        truncateReplica(warehouse, replicas.get(table)!, {
          version: version.toString(),
          lsn,
          tx_id: txId,
          committed_at: committedAt.toString(),
        }),
      )
    }
  }

  async function tellOf(messages: ChangeMessage[], signal: AbortSignal): Promise<void> {
    const tables = new Map<string, TableChanges>()
    let [from, to] = [messages[0]!.version, messages[0]!.version]
    for (const { table, key, op, version } of messages) {
      const entry = replicas.get(table)?.source.entry
      if (!entry) continue
      const changes = tables.get(table) ?? { entry, keys: new Set<string>(), hasMoreInLog: false }
      tables.set(table, changes)
      if (op === 't') changes.hasMoreInLog = true
      else addKey(changes, key)
      if (version < from) from = version
      if (version > to) to = version
    }
    await tell(tables.values(), { from, to }, signal)
  }

  return handle
}

/** JavaScript puts members that look like the index of an array before all others (ECMA-262 §10.1.11). */
const comesInItsPlace = (name: string) => !/^\d+$/.test(name)

/** For each column of the source, whether a value is of its type; one that the replica does not have takes all. */
function typesOf({ source, columns }: ReplicaTable): Map<string, ColumnMapping['isOfType']> {
  const names = [...source.columns.map(({ name }) => name), ...source.omitted]
  const mapped = new Map(columns.map(({ name, isOfType }) => [name, isOfType]))
  return new Map(names.map((name) => [name, mapped.get(name) ?? (() => true)]))
}

function newestOf(messages: ChangeMessage[]): NewestChange | undefined {
  let newest: NewestChange | undefined
  for (const { version, committedAt } of messages) {
    if (!newest || version > newest.version) newest = { version, committedAt }
  }
  return newest
}
