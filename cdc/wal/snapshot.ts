import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import type { EventHeader } from '../changes/event-batch.ts'
import { type Position, readNewestVersion } from '../changes/positions.ts'
import type { Catalog } from '../derive/catalog.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { expandTombstonesSql } from '../derive/derive-view.ts'
import { retry } from '../retry.ts'
import { firstChangeIndex, snapshotRowIndex, snapshotTombstoneIndex, versionAt } from '../source/lsn.ts'
import type { ReplicationConnection } from '../source/replication-connection.ts'
import { createSlotWithSnapshot, dropSlot } from '../source/replication-slot.ts'
import type { SourceIdentity } from '../source/start-plan.ts'
import { readTable } from '../whole-tables/read-table.ts'
import { otherInsertsEnded } from '../whole-tables/running-inserts.ts'
import { recordSnapshot } from '../whole-tables/snapshot-record.ts'
import type { Pipeline } from './feed-pipeline.ts'

/**
 * Makes the slot anew. The connection's transaction sees from then on what is committed before the slot's first
 * change, no more and no less.
 *
 * Versions must rise from what the warehouse has, also when the source's LSNs have gone back: then they get an
 * offset, and the former history's rows give way as any older ones do.
 * @returns the position the feed starts from
 */
export async function beginSnapshot(options: {
  source: pg.Client
  connection: ReplicationConnection
  warehouse: Warehouse
  slotName: string
  identity: SourceIdentity
  stored: Position | undefined
}): Promise<Position> {
  const { source, connection, warehouse, slotName, identity, stored } = options
  await dropSlot(source, slotName)
  const lsn = await createSlotWithSnapshot(connection, slotName)
  const newest = (await readNewestVersion(warehouse)) >> 64n
  const former = stored?.history.versionOffset ?? 0n
  const versionOffset = lsn + former > newest ? former : newest + 1n - lsn
  const [time] = await connection.queryRows('SELECT (extract(epoch FROM now()) * 1000000)::bigint')
  return {
    lsn,
    version: versionAt(lsn + versionOffset, snapshotRowIndex),
    wholeBefore: versionAt(lsn + versionOffset, firstChangeIndex),
    committedAt: BigInt(time?.[0] ?? 0),
    history: { systemIdentifier: identity.systemIdentifier, timeline: identity.timeline, versionOffset },
  }
}

/**
 * Reads the tables whole, in the transaction of `beginSnapshot`. Until the position is stored, a crash leads to
 * another snapshot, with a slot of its own and a higher version.
 */
export async function takeSnapshot(options: {
  connection: ReplicationConnection
  warehouse: Warehouse
  catalog: Catalog
  pipeline: Pipeline
  start: Position
  log: Log
  signal: AbortSignal
}): Promise<void> {
  const { connection, warehouse, catalog, pipeline, start, log, signal } = options
  const rows = new Map<string, number>()
  const header: EventHeader = {
    position: start.lsn + start.history.versionOffset,
    index: snapshotRowIndex,
    lsn: Number(start.lsn),
    op: 'r',
    txId: 0,
    committedAt: start.committedAt,
  }
  for (const replica of catalog.replicas) {
    const count = await readTable({ connection, replica, queue: pipeline.queue, headerOf: () => header })
    log.info({ table: replica.source.qualifiedName, rows: count }, 'read a table whole')
    rows.set(replica.source.qualifiedName, count)
  }
  await connection.query('COMMIT')
  await pipeline.drained()
  await retry('waiting for inserts under way', { signal, log }, () => otherInsertsEnded(warehouse, signal))
  for (const replica of catalog.replicas) {
    const table = replica.source.qualifiedName
    await retry('deleting what has vanished', { signal, log }, () =>
      deleteVanished(warehouse, replica, start),
    )
    pipeline.confirmation.addFromLog(replica.source.entry, {
      // Also of an attempt before this one.
      from: 0n,
      to: versionOf(start, snapshotTombstoneIndex),
    })
    const membership = catalog.memberships.get(table) ?? ''
    const record = { table, version: start.version, membership, rows: rows.get(table) ?? 0 }
    await retry('recording the snapshot', { signal, log }, () => recordSnapshot(warehouse, record))
  }
  pipeline.confirmation.addIdle(start.lsn)
}

/** Deletes from the replica what was put there before and this snapshot did not find. */
async function deleteVanished(warehouse: Warehouse, replica: ReplicaTable, start: Position): Promise<void> {
  await warehouse.command(expandTombstonesSql(replica), {
    version: versionOf(start, snapshotTombstoneIndex).toString(),
    lsn: start.lsn.toString(),
    tx_id: '0',
    committed_at: start.committedAt.toString(),
  })
}

function versionOf({ lsn, history }: Position, index: number): bigint {
  return versionAt(lsn + history.versionOffset, index)
}
