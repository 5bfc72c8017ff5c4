import { setTimeout as delay } from 'node:timers/promises'
import { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import pg from 'pg'
import type { Catalog } from '../derive/catalog.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { cdcErrors } from '../errors.ts'
import { retry } from '../retry.ts'
import { formatLsn } from '../source/lsn.ts'
import { connectSource } from '../source/postgres-connection.ts'
import type { Tell } from '../telling/teller.ts'
import { recordWholeRead } from './record-whole-read.ts'
import { resyncTable } from './resync.ts'
import { readFinishedSnapshots } from './snapshot-record.ts'

const pollIntervalMs = 50
/**
 * How long a table is held, and with it whoever wants to alter it and all that come after, for a stream that stands: it may be
 * waiting for the same table itself.
 */
const longestHoldMs = 60_000

/** Tables without a finished snapshot under their present place in the publication. */
export async function unreadTables(warehouse: Warehouse, catalog: Catalog): Promise<string[]> {
  const finished = await readFinishedSnapshots(warehouse)
  return catalog.replicas
    .map(({ source: { qualifiedName } }) => qualifiedName)
    .filter((table) => finished.get(table) !== catalog.memberships.get(table))
}

/** Whether tables were read whole under another publication than the present one. */
export async function isOtherPublication(
  warehouse: Warehouse,
  memberships: Catalog['memberships'],
): Promise<boolean> {
  const finished = await readFinishedSnapshots(warehouse)
  return [...memberships].some(([table, membership]) => {
    const recorded = finished.get(table)
    return recorded && publicationOf(recorded) !== publicationOf(membership)
  })
}

/** A membership begins with its publication's oid (derive-publication.ts). */
const publicationOf = (membership: string) => membership.split('/')[0]

/** The next session has a catalog that is right. */
const isSchemaChanged = (error: unknown) =>
  error instanceof TendonError && error.code === cdcErrors.schemaChanged.code

/** Class 42: the user may not read the table, or not in this way. Or somebody's users are found with what would be gone. */
const isRefused = (error: unknown) =>
  (error instanceof pg.DatabaseError && error.code?.startsWith('42') === true) ||
  (error instanceof TendonError && error.code === cdcErrors.usersRefused.code)

type ReadOptions = {
  catalog: Catalog
  warehouse: Warehouse
  crmDatabaseUrl: string
  feed: string
  /** How far the feed has come. */
  reached: () => bigint
  tell: Tell
  log: Log
  signal: AbortSignal
}

/**
 * Reads tables whole that were added, or that got another shape, while the stream goes on: an incremental snapshot of
 * our own, since Debezium's tells of no rows that are gone, and makes no table that its readers could exchange.
 * A table that the source does not let us read is left unread, which `cdc status` says.
 * @throws TENDON-CDC-011 when the catalog is out of date
 */
export async function readUnread(options: ReadOptions): Promise<void> {
  const { catalog, warehouse, log } = options
  const tables = new Set(await unreadTables(warehouse, catalog))
  for (const replica of catalog.replicas.filter(({ source }) => tables.has(source.qualifiedName))) {
    const table = replica.source.qualifiedName
    try {
      await readWhole(options, replica)
    } catch (err) {
      if (!isRefused(err)) throw err
      log.error({ err, table }, 'the table cannot be read, and stays as it was')
    }
  }
}

async function readWhole(options: ReadOptions, replica: ReplicaTable): Promise<void> {
  const { catalog, warehouse, crmDatabaseUrl, feed, reached, tell, log, signal } = options
  const isPermanent = (error: unknown) => isSchemaChanged(error) || isRefused(error)
  const { rows, deadLetters, floor } = await retry('reading a table', { signal, log, isPermanent }, () =>
    resyncTable({
      warehouse,
      connect: () => connectSource(crmDatabaseUrl),
      crmDatabaseUrl,
      feed,
      async caughtUp(lsn, isHeld) {
        let [at, since] = [reached(), performance.now()]
        for (let now = at; now < lsn; now = reached()) {
          if (now > at) [at, since] = [now, performance.now()]
          if (isHeld && performance.now() - since > longestHoldMs) {
            throw cdcErrors.notCaughtUp(`The stream stands at ${formatLsn(at)}, before ${formatLsn(lsn)}.`)
          }
          await delay(pollIntervalMs, undefined, { signal })
        }
      },
      replica,
      entries: catalog.entries,
      log,
      signal,
    }),
  )
  await recordWholeRead({ warehouse, catalog, replica, version: floor, rows, tell, log, signal })
  if (deadLetters === 0) return
  const table = replica.source.qualifiedName
  log.warn({ table, rows, dead_letters: deadLetters }, 'rows of the table do not fit, and are dead letters')
}
