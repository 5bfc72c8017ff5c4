import type { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import {
  isLogged,
  type Position,
  readNewestVersion,
  readPosition,
  writePosition,
} from '../changes/positions.ts'
import type { Catalog } from '../derive/catalog.ts'
import { cdcErrors } from '../errors.ts'
import type { KafkaConfig } from '../options.ts'
import { snapshotTombstoneIndex, versionAt } from '../source/lsn.ts'
import { ReplicationConnection } from '../source/replication-connection.ts'
import { dropSlot, identifySystem, isUndecodable, readSlot } from '../source/replication-slot.ts'
import { readWalEnd } from '../source/source-position.ts'
import { planStart, type SourceIdentity } from '../source/start-plan.ts'
import { forgetSnapshot, readFinishedSnapshots } from '../whole-tables/snapshot-record.ts'
import { isOtherPublication } from '../whole-tables/unread-tables.ts'
import type { Connector, ConnectorConfig, ConnectorStatus } from './connect-rest.ts'
import { type ConnectorHistory, deriveConnector, historyOf, snapshotTables } from './derive-connector.ts'
import type { Commits } from './kafka-progress.ts'

export type PreparedConnector = {
  position: Position
  /** Versions of what its initial snapshot found have this as their upper half. */
  base: bigint
  /** Its initial snapshot is still to be seen through. */
  isInitial: boolean
}

type Preparation = {
  source: pg.Client
  warehouse: Warehouse
  connector: Connector
  catalog: Catalog
  config: KafkaConfig
  /** Of the worker, to see whether the warehouse still has what was told. */
  commits: Commits
  /** Resolves when ClickHouse has read everything that is in the change topics. */
  drained: () => Promise<void>
  log: Log
}

/**
 * Makes the connector, or brings it to the registry. Where nothing it has missed may go unnoticed (its slot is lost, the
 * source is another one or went back, tables were not read whole), it is made anew with a snapshot and a base of its
 * own, above every version stored.
 */
export async function prepareConnector(options: Preparation): Promise<PreparedConnector> {
  const { warehouse, connector, config, log } = options
  const identity = await readIdentity(config.crmDatabaseUrl)
  const stored = await readPosition(warehouse, config.slotName)
  const existing = await connector.config()
  const history = existing && historyOf(existing)
  if (!existing || !history || !stored) return makeAnew(options, identity, stored)
  const isStreaming = await connector.isStreaming()
  const status = await connector.status()
  const reason =
    lostChangesOf(status) ??
    (await lostOffsets(warehouse, isStreaming)) ??
    (await lostByWarehouse(warehouse, stored, options.commits)) ??
    (await lostBySource(options, { identity, stored, isStreaming }))
  if (reason) {
    log.warn(
      { error_code: reason.code, reason: reason.message },
      'making the connector anew, with a snapshot',
    )
    return makeAnew(options, identity, stored)
  }
  await changeOrResume(options, existing, history, status)
  return { position: stored, base: history.base, isInitial: !isStreaming }
}

function configOf({ catalog, config }: Preparation, history: ConnectorHistory): ConnectorConfig {
  const databaseName = new URL(config.crmDatabaseUrl).pathname.slice(1)
  return deriveConnector(catalog.replicas, { config, databaseName, history })
}

async function changeOrResume(
  options: Preparation,
  existing: ConnectorConfig,
  history: ConnectorHistory,
  status: ConnectorStatus | undefined,
): Promise<void> {
  const { connector, config, log } = options
  const wanted = configOf(options, history)
  if (!isSame(existing, wanted)) {
    await connector.change(wanted)
    log.info({ connector: config.slotName }, 'changed the connector')
  } else if (status?.state === 'STOPPED' || status?.state === 'PAUSED') {
    await connector.resume()
    log.warn({ connector: config.slotName, state: status.state }, 'the connector stood still: resumed it')
  }
}

async function makeAnew(
  options: Preparation,
  identity: SourceIdentity,
  stored: Position | undefined,
): Promise<PreparedConnector> {
  const { warehouse, connector, catalog, config, log } = options
  const position = await beginHistory(options, identity, stored)
  for (const { source: table } of catalog.replicas) await forgetSnapshot(warehouse, table.qualifiedName)
  await writePosition(warehouse, config.slotName, position)
  const base = position.version >> 64n
  await connector.create(configOf(options, { base, offset: position.history.versionOffset }))
  log.info({ connector: config.slotName }, 'made the connector')
  return { position, base, isInitial: true }
}

/**
 * What no restart of the connector mends.
 *
 * It refuses to start where its slot does not go back to what it has read (deploy/connect, InitialOrNothing): by itself
 * Debezium would make another slot and go on behind the gap.
 *
 * And it fails for ever at a value that it takes for another type: to what the stream says of a table Debezium 3.7 adds the
 * types that its columns have now (PgOutputMessageDecoder, handleRelationMessage).
 */
export function lostChangesOf(status: ConnectorStatus | undefined): TendonError | undefined {
  const trace = status?.task?.state === 'FAILED' ? (status.task.trace ?? '') : ''
  const why = new RegExp(`${cdcErrors.slotLost.code}: (.*)`).exec(trace)?.[1]
  if (why) return cdcErrors.slotLost(`The connector cannot go on: ${why}.`)
  if (isUndecodable(trace))
    return cdcErrors.changeUnreadable('PostgreSQL cannot decode what the slot is to give.')
  if (
    /Error while processing event at offset/.test(trace) &&
    !/SQLException|IOException|SocketException/.test(trace)
  )
    return cdcErrors.changeUnreadable('The connector cannot read a change.')
  return undefined
}

/** A connector without offsets reads everything again, with versions below all that came after its first snapshot. */
async function lostOffsets(warehouse: Warehouse, isStreaming: boolean): Promise<TendonError | undefined> {
  if (isStreaming) return undefined
  const finished = await readFinishedSnapshots(warehouse)
  if (![...finished.values()].some((membership) => membership !== '')) return undefined
  return cdcErrors.slotLost('The connector does not know any more what it has read.')
}

/**
 * ClickHouse's own offsets are Kafka's to keep: a warehouse that was restored would go on behind the gap. What it reads
 * then is newer than what it lacks, so it is asked for the very change that it had.
 */
async function lostByWarehouse(
  warehouse: Warehouse,
  stored: Position,
  { newestVersion }: Commits,
): Promise<TendonError | undefined> {
  if (newestVersion <= stored.version || (await isLogged(warehouse, newestVersion))) return undefined
  return cdcErrors.warehouseBehindSlot('The warehouse lacks changes that were visible in it before.')
}

/** The slot is gone, the source is another one or went back, or the tables were read under another publication. */
async function lostBySource(
  { source, warehouse, catalog, config }: Preparation,
  state: { identity: SourceIdentity; stored: Position; isStreaming: boolean },
): Promise<TendonError | undefined> {
  const { identity, stored, isStreaming } = state
  const slot = await readSlot(source, config.slotName)
  const plan = planStart({
    identity,
    stored,
    slotName: config.slotName,
    // It makes its slot when it starts; and what it has confirmed is kept by Kafka, however far the warehouse is.
    slot:
      slot || isStreaming
        ? slot && { ...slot, confirmedLsn: 0n }
        : { confirmedLsn: 0n, isLost: false, isActive: false },
    isOtherPublication: await isOtherPublication(warehouse, catalog.memberships),
  })
  return plan.kind === 'snapshot' ? plan.reason : undefined
}

async function beginHistory(
  { source, warehouse, connector, config, drained }: Preparation,
  identity: SourceIdentity,
  stored: Position | undefined,
): Promise<Position> {
  await connector.remove()
  // What ClickHouse has not read yet would come after the new history, and may have higher versions.
  await drained()
  await dropSlot(source, config.slotName)
  // Whatever an earlier connector has streamed lies at or below this; whatever the new one streams, above.
  const lsn = await readWalEnd(source)
  const newest = (await readNewestVersion(warehouse)) >> 64n
  // Raised in any case, so that this position counts from now on although nothing has been read yet.
  const former = stored ? stored.history.versionOffset + 2n : 0n
  const versionOffset = lsn + former > newest ? former : newest + 1n - lsn
  const base = lsn + versionOffset + 1n
  return {
    lsn: lsn - 1n,
    version: versionAt(base, snapshotTombstoneIndex),
    // Raised when the snapshot is there.
    wholeBefore: versionAt(base, snapshotTombstoneIndex),
    // What can be read is what could be read before, until the snapshot is there.
    committedAt: stored?.committedAt ?? 0n,
    history: { systemIdentifier: identity.systemIdentifier, timeline: identity.timeline, versionOffset },
  }
}

/** Which cluster the source is, and in which of its histories. */
export async function readIdentity(crmDatabaseUrl: string): Promise<SourceIdentity> {
  const connection = await ReplicationConnection.open(crmDatabaseUrl)
  try {
    return await identifySystem(connection)
  } finally {
    connection.destroy()
  }
}

/** Connect adds the connector's name to its configuration. */
function isSame(existing: ConnectorConfig, wanted: ConnectorConfig): boolean {
  const counts = (name: string) => name !== 'name' && name !== snapshotTables
  const names = new Set([...Object.keys(existing), ...Object.keys(wanted)].filter(counts))
  return [...names].every((name) => existing[name] === wanted[name])
}
