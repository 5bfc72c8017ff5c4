import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import { BatchQueue, defaultLimits } from '../changes/batch-queue.ts'
import { type ChangeWriter, createChangeWriter } from '../changes/change-writer.ts'
import type { EventHeader } from '../changes/event-batch.ts'
import { applyViews } from '../derive/apply.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { expandTombstonesSql, isOfTableSql } from '../derive/derive-view.ts'
import { chLiteral } from '../derive/sql-names.ts'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { formatLsn, versionHalves } from '../source/lsn.ts'
import { ReplicationConnection } from '../source/replication-connection.ts'
import { lookUpTablesUnder } from '../source/source-catalog.ts'
import { readWalEnd } from '../source/source-position.ts'
import type { SourceSnapshot } from '../source/source-snapshot.ts'
import type { Versions } from '../telling/concerned-users.ts'
import { wholeLog } from '../telling/tell-users.ts'
import { readersOf } from '../telling/users-problem.ts'
import { atComparisonPoint, type ComparisonParts, type ComparisonPoint } from '../verify/comparison-point.ts'
import type { LogVisibility } from '../verify/log-visibility.ts'
import { countLettersOfMoment, fillWithLater, writeMisfits } from './passed-by.ts'
import { readTable } from './read-table.ts'
import { type Shadow, withShadow } from './shadow.ts'
import { laterTruncates, truncateReplica } from './truncate-replica.ts'

export type ResyncOptions = ComparisonParts & {
  crmDatabaseUrl: string
  replica: ReplicaTable
  /** All tables that are declared: what finds their users may read this one. */
  entries: readonly RegistryEntry[]
  log: Log
  onRows?: (rows: number) => void
  signal?: AbortSignal
}

/**
 * Rebuilds a replica from the source while changes go on, and its readers see one whole table or the other: a second
 * table is filled with the rows of one moment, gets every change that comes meanwhile, and takes the first one's place.
 *
 * The rows go through the log, as all do: it holds what the replica is made of, and tombstones for rows that the source
 * does not have. They stand right above everything that the moment has seen, and below what came later.
 * @returns how many rows the source had at that moment, how many of them became dead letters, its position, the versions of
 *   what has changed, and the lowest of a row: the log from there on makes the whole replica
 */
export async function resyncTable(
  options: ResyncOptions,
): Promise<{ rows: number; deadLetters: number; position: string; versions: Versions; floor: bigint }> {
  const { warehouse, replica, log } = options
  await refuseMissedColumns(options)
  const fill = (shadow: Shadow) =>
    atMomentRead(options, async ({ snapshot, visibility }, reader) => {
      await refuseOtherShape(snapshot, replica)
      // The moment came after the shadow's view: once the log has what was committed before, no insert is on its
      // way any more that would pass the view by.
      const seen = await visibility
      await fillWithLater(warehouse, replica, shadow.table, seen)
      const places = await readPlaces(warehouse, replica, seen)
      const rows = await readRows(options, snapshot, places, reader)
      // Keys of another shape are none of the new replica's.
      const isComparable = shadow.shape !== undefined && !shadow.isDetached
      if (isComparable) await deleteVanished(warehouse, replica, snapshot, places)
      // A feed that begins again repeats changes, but not the tombstones that a TRUNCATE has already become.
      await deleteVanished(warehouse, shadow.table, snapshot, places)
      const own = versionsOf(places)
      const versions = shadow.isDetached ? wholeLog : own
      return {
        rows,
        moment: { ...own, takenAt: snapshot.takenAt },
        position: formatLsn(snapshot.lsnBefore),
        versions,
        seen,
      }
    })
  const { rows, position, versions, moment } = await withShadow(
    warehouse,
    replica,
    fill,
    async ({ seen, moment }) => {
      await applyViews(warehouse, replica, log)
      // What is on its way has passed the view by, and is in the log once what was committed before is.
      await options.caughtUp(await currentWalEnd(options.connect))
      await fillWithLater(warehouse, replica, replica, seen)
      await writeMisfits(warehouse, replica, seen, moment.from)
      for (const event of await laterTruncates(warehouse, replica, seen)) {
        await truncateReplica(warehouse, replica, event)
      }
    },
  )
  const deadLetters = await countLettersOfMoment(warehouse, replica, moment)
  return { rows, deadLetters, position, versions, floor: moment.from }
}

/** Columns that the source has dropped are gone then, and whom a change concerns may have been read from them. */
async function refuseMissedColumns({ warehouse, replica, entries }: ResyncOptions): Promise<void> {
  const kept = [...replica.columns.map(({ name }) => name), '_version', '_deleted']
  const [reader] = await readersOf(warehouse, entries, replica, kept)
  if (!reader) return
  throw cdcErrors.usersRefused(
    `That of ${reader.table} reads ${reader.columns.join(', ')} of crm.${replica.name}, which ${replica.source.qualifiedName} has no more.`,
  )
}

/** From the moment on the table cannot be altered. Before it, it may have been, since the catalog was read. */
async function refuseOtherShape({ client }: SourceSnapshot, { source }: ReplicaTable): Promise<void> {
  const { tables } = await lookUpTablesUnder(client, source.published, [source.entry])
  if (JSON.stringify(tables[0]) === JSON.stringify(source)) return
  throw cdcErrors.schemaChanged(`${source.qualifiedName} has changed its shape meanwhile; run it again.`)
}

async function currentWalEnd(connect: () => Promise<pg.Client>): Promise<bigint> {
  const client = await connect()
  try {
    return await readWalEnd(client)
  } finally {
    await client.end()
  }
}

/** Versions for the rows of a moment. */
type Places = {
  /** Right above everything in the log that the moment has seen. */
  version: bigint
  /** Lower ones, of keys with changes below it that the moment has not seen: they win over its rows. */
  ofKeys: Map<string, bigint>
}

function versionsOf({ version, ofKeys }: Places): Versions {
  const lowest = [...ofKeys.values()].reduce((least, one) => (one < least ? one : least), version)
  return { from: lowest, to: version }
}

const newestSeen = z.object({ newest: z.string().transform(BigInt) })

async function readPlaces(
  warehouse: Warehouse,
  replica: ReplicaTable,
  { seen, unseen, params }: LogVisibility,
): Promise<Places> {
  const binds = z.record(z.string(), z.unknown())
  const table = `table = ${chLiteral(replica.source.qualifiedName)}`
  const [all] = await warehouse.query(
    defineQuery({
      name: 'newest seen',
      sql: `SELECT toString(max(version)) AS newest FROM cdc.events WHERE ${table} AND ${seen}`,
      params: binds,
      row: newestSeen,
    }),
    params,
  )
  const version = all!.newest + 1n
  const low = `${isOfTableSql(replica)} AND version >= {seenFrom:UInt128} AND ${unseen} AND version <= {place:UInt128}`
  const keys = await warehouse.query(
    defineQuery({
      name: 'newest seen of keys',
      sql: `
        SELECT key, toString(maxIf(version, ${seen})) AS newest FROM cdc.events
        WHERE ${isOfTableSql(replica)} AND key IN (SELECT key FROM cdc.events WHERE ${low})
        GROUP BY key`,
      params: binds,
      row: newestSeen.extend({ key: z.string() }),
    }),
    { ...params, place: version.toString() },
  )
  return { version, ofKeys: new Map(keys.map(({ key, newest }) => [key, newest + 1n])) }
}

/** Runs with a moment of the source, and a connection that reads the table at it, whose rows need not become objects. */
async function atMomentRead<Result>(
  options: ResyncOptions,
  run: (point: ComparisonPoint, reader: ReplicationConnection) => Promise<Result>,
): Promise<Result> {
  const reader = await ReplicationConnection.open(options.crmDatabaseUrl)
  try {
    const atPoint = async (point: ComparisonPoint) => {
      await reader.query(`SET TRANSACTION SNAPSHOT '${await exportSnapshot(point.snapshot.client)}'`)
      return run(point, reader)
    }
    return await atComparisonPoint(options, options.replica, atPoint, reader)
  } finally {
    reader.destroy()
  }
}

async function readRows(
  options: ResyncOptions,
  snapshot: SourceSnapshot,
  places: Places,
  connection: ReplicationConnection,
): Promise<number> {
  const { warehouse, replica, log, onRows } = options
  const ending = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, ending.signal]) : ending.signal
  try {
    const queue = new BatchQueue(defaultLimits, connection)
    const readSource = async () => new Map()
    const writer = createChangeWriter({ warehouse, readSource, log, signal })
    const writing = startWriting(queue, writer, signal)
    const header = headerOf(snapshot)
    const reading = readTable({
      connection,
      replica,
      queue,
      headerOf: (key) => {
        const version = (places.ofKeys.size > 0 && places.ofKeys.get(key())) || places.version
        return Object.assign(header, versionHalves(version))
      },
      ...(onRows && { onRows }),
    })
    const rows = await Promise.race([reading, writing.failed])
    await Promise.race([writing.all(rows), writing.failed])
    return rows
  } finally {
    ending.abort()
  }
}

async function exportSnapshot(client: pg.Client): Promise<string> {
  const { rows } = await client.query('SELECT pg_export_snapshot() AS id')
  return z.object({ id: z.string().regex(/^[\w-]+$/) }).parse(rows[0]).id
}

const headerOf = (snapshot: SourceSnapshot): EventHeader => ({
  position: 0n,
  index: 0,
  lsn: Number(snapshot.lsnBefore),
  op: 'r',
  txId: 0,
  committedAt: snapshot.takenAt,
})

/** Writes what comes, until it fails; `all` resolves when that many rows are stored. */
function startWriting(
  queue: BatchQueue,
  writer: ChangeWriter,
  signal: AbortSignal,
): { failed: Promise<never>; all(rows: number): Promise<void> } {
  let stored = 0
  let awaited: { rows: number; resolve: () => void } | undefined
  const tell = () => {
    if (awaited && stored >= awaited.rows) awaited.resolve()
  }
  const failed = (async (): Promise<never> => {
    for (;;) {
      const batch = await queue.next(signal)
      const rows = batch.eventCount + batch.deadLetters.length
      await writer.write(batch)
      queue.recycle(batch)
      stored += rows
      tell()
    }
  })()
  // Who awaits the rows learns of it.
  failed.catch(() => {})
  return {
    failed,
    all(rows) {
      const { promise, resolve } = Promise.withResolvers<void>()
      awaited = { rows, resolve }
      tell()
      return promise
    },
  }
}

/** Rows that a table has and the moment has not: all that were there are above their place by now. */
async function deleteVanished(
  warehouse: Warehouse,
  table: ReplicaTable,
  snapshot: SourceSnapshot,
  { version, ofKeys }: Places,
): Promise<void> {
  await warehouse.command(expandTombstonesSql(table, '{kept:Array(String)}'), {
    version: version.toString(),
    lsn: snapshot.lsnBefore.toString(),
    tx_id: '0',
    committed_at: snapshot.takenAt.toString(),
    kept: [...ofKeys.keys()],
  })
}
