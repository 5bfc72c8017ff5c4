import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Catalog } from './catalog.ts'
import type { Invalidate } from './invalidate.ts'
import type { Position } from './positions.ts'
import { connectSource } from './postgres-connection.ts'
import { resyncTable } from './resync.ts'
import { retry } from './retry.ts'
import { recordSnapshot } from './snapshot-record.ts'
import { changesInLog, tellUsers } from './tell-users.ts'

const pollIntervalMs = 50

/**
 * Reads tables whole that were added, or that got another shape, while the stream goes on: an incremental snapshot of
 * our own, since Debezium's tells of no rows that are gone, and makes no table that its readers could exchange.
 */
export async function readUnread(options: {
  tables: string[]
  catalog: Catalog
  warehouse: Warehouse
  crmDatabaseUrl: string
  feed: string
  position: () => Position
  invalidate: Invalidate
  log: Log
  signal: AbortSignal
}): Promise<void> {
  const { tables, catalog, warehouse, crmDatabaseUrl, feed, position, invalidate, log, signal } = options
  for (const replica of catalog.replicas) {
    const table = replica.source.qualifiedName
    if (!tables.includes(table)) continue
    const { rows, versions } = await retry('reading a table', { signal, log }, () =>
      resyncTable({
        warehouse,
        connect: () => connectSource(crmDatabaseUrl),
        crmDatabaseUrl,
        feed,
        async caughtUp(lsn) {
          while (position().lsn < lsn) await delay(pollIntervalMs, undefined, { signal })
        },
        replica,
        log,
        signal,
      }),
    )
    await retry('telling whose reports have changed', { signal, log }, () =>
      tellUsers({ warehouse, changes: [changesInLog(replica.source.entry)], versions, invalidate, signal }),
    )
    const membership = catalog.memberships.get(table) ?? ''
    const { version } = position()
    await retry('recording the snapshot', { signal, log }, () =>
      recordSnapshot(warehouse, { table, version, membership, rows }),
    )
    log.info({ table, rows }, 'read a table whole')
  }
}
