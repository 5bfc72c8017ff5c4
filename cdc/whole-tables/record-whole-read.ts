import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Catalog } from '../derive/catalog.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { retry } from '../retry.ts'
import { changesInLog, wholeLog } from '../telling/tell-users.ts'
import type { Tell } from '../telling/teller.ts'
import { recordSnapshot } from './snapshot-record.ts'

/**
 * What comes last when a table was read whole: everybody is told whom it concerns, and only then is it recorded, so that
 * whoever dies in between begins again.
 *
 * Told by all of the log: an attempt before this one, or changes that were lost, may have left somebody untold.
 */
export async function recordWholeRead(options: {
  warehouse: Warehouse
  catalog: Catalog
  replica: ReplicaTable
  /** Lowest of its rows. */
  version: bigint
  rows: number
  tell: Tell
  log: Log
  signal: AbortSignal
}): Promise<void> {
  const { warehouse, catalog, replica, version, rows, tell, log, signal } = options
  const { qualifiedName: table, entry } = replica.source
  await tell([changesInLog(entry)], wholeLog, signal)
  const membership = catalog.memberships.get(table) ?? ''
  await retry('recording the snapshot', { signal, log }, () =>
    recordSnapshot(warehouse, { table, version, membership, rows }),
  )
  log.info({ table, rows }, 'read a table whole')
}
