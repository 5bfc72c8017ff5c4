import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { type Position, readPosition } from '../changes/positions.ts'
import { applyReplicas } from '../derive/apply.ts'
import { type Catalog, readCatalog } from '../derive/catalog.ts'
import { type CatalogWatch, createCatalogWatch } from '../derive/catalog-watch.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { readKnownTables } from '../derive/known-tables.ts'
import { cdcErrors } from '../errors.ts'
import { keepGauges } from '../feed-gauges.ts'
import type { FeedMetrics } from '../feed-metrics.ts'
import type { FeedHooks } from '../feed-supervisor.ts'
import type { SourceConfig } from '../options.ts'
import type { RegistryEntry } from '../registry.ts'
import { formatLsn } from '../source/lsn.ts'
import { connectSource } from '../source/postgres-connection.ts'
import { ReplicationConnection, ServerError } from '../source/replication-connection.ts'
import { dropSlot, identifySystem, isUndecodable, readSlot } from '../source/replication-slot.ts'
import { createSourceRows } from '../source/source-rows.ts'
import { planStart, type SourceIdentity, type StartPlan } from '../source/start-plan.ts'
import type { Tell } from '../telling/teller.ts'
import { forgetSnapshot } from '../whole-tables/snapshot-record.ts'
import { isOtherPublication, readUnread } from '../whole-tables/unread-tables.ts'
import { createCodecSource } from './codec-source.ts'
import { type Pipeline, startPipeline } from './feed-pipeline.ts'
import { PgOutputDecoder } from './pgoutput-decoder.ts'
import { beginSnapshot, takeSnapshot } from './snapshot.ts'
import { WalStream } from './wal-stream.ts'

export type SessionOptions = FeedHooks & {
  config: SourceConfig
  /** Declared in code; what was added at run time comes beside them. */
  entries: readonly RegistryEntry[]
  warehouse: Warehouse
  tell: Tell
  log: Log
  metrics: FeedMetrics
}

/**
 * One life of the feed's connection: brings the replicas to the catalog, takes a snapshot where there is reason to,
 * and streams until something ends it.
 * @throws always, what ended it
 */
export async function runSession(options: SessionOptions): Promise<never> {
  const { config, warehouse, log, onState } = options
  const ending = new AbortController()
  const signal = AbortSignal.any([options.signal, ending.signal])
  const session = { ...options, signal }
  onState('starting')
  const source = await connectSource(config.crmDatabaseUrl)
  let connection: ReplicationConnection | undefined
  let pipeline: Pipeline | undefined
  try {
    const readEntries = () => readKnownTables(warehouse, options.entries)
    const catalog = await readCatalog(source, warehouse, config.publicationName, await readEntries())
    for (const { code, message } of catalog.problems) log.error({ error_code: code }, message)
    for (const text of catalog.leftOut) log.warn(text)
    const inShape = await applyReplicas(source, warehouse, catalog, log)
    const misread = [...options.misread].flatMap(([table, rightUpTo]) =>
      rightUpTo === undefined ? [table] : [],
    )
    for (const table of misread) await forgetSnapshot(warehouse, table)
    connection = await ReplicationConnection.open(config.crmDatabaseUrl)
    signal.throwIfAborted()
    signal.addEventListener('abort', () => connection?.destroy(), { once: true })
    const watch = createCatalogWatch({ source, warehouse, catalog, ...config, readEntries, signal })
    return await Promise.race([
      readChanges(session, {
        source,
        connection,
        catalog,
        inShape,
        misread,
        watch,
        onPipeline: (started) => {
          pipeline = started
        },
      }),
      connection.ended,
      watch.run(),
      keepGauges({ ...session, source, catalog, slotName: config.slotName }),
    ])
  } catch (error) {
    if (!(error instanceof ServerError) || !isUndecodable(error.message)) throw error
    connection?.destroy()
    // A snapshot under another slot is all that helps.
    await dropSlot(source, config.slotName)
    throw cdcErrors.changeUnreadable('PostgreSQL cannot decode what the slot is to give.', { cause: error })
  } finally {
    ending.abort()
    connection?.destroy()
    // A statement on its way could still write, after the next session has looked at what there is.
    await pipeline?.ended
    await source.end().catch(() => {})
  }
}

async function readChanges(
  session: SessionOptions,
  parts: {
    source: pg.Client
    connection: ReplicationConnection
    catalog: Catalog
    inShape: ReplicaTable[]
    misread: string[]
    watch: CatalogWatch
    onPipeline: (pipeline: Pipeline) => void
  },
): Promise<never> {
  const { source, connection, catalog, inShape, watch } = parts
  const { config, warehouse, log, metrics, onState, onPosition, onUrge, isAwaited } = session
  const identity = await identifySystem(connection)
  const stored = await readPosition(warehouse, config.slotName)
  const plan = await planSession(session, source, catalog, identity, stored)
  const start =
    plan.kind === 'stream'
      ? plan.from
      : await beginSnapshot({ source, connection, warehouse, slotName: config.slotName, identity, stored })

  let stream: WalStream | undefined
  let reached = start.lsn
  // Nobody has caught up who has not read a table.
  let isReading = true
  // They are read from now on, and so as they are after all that is in the WAL by now.
  const rightUpTo = identity.walEnd + start.history.versionOffset
  for (const table of parts.misread) session.misread.set(table, rightUpTo)
  const pipeline = startPipeline({
    warehouse,
    feed: config.slotName,
    start,
    source: connection,
    readSource: createSourceRows(() => connectSource(config.crmDatabaseUrl)),
    tell: session.tell,
    acknowledge: (lsn) => {
      reached = lsn
      stream?.acknowledge(lsn)
      if (!isReading) onPosition(lsn)
    },
    log,
    metrics,
    signal: session.signal,
  })
  parts.onPipeline(pipeline)
  const reading = async (): Promise<never> => {
    if (plan.kind === 'snapshot') {
      onState('snapshot')
      const shaped = { ...catalog, replicas: inShape }
      await takeSnapshot({
        connection,
        warehouse,
        catalog: shaped,
        pipeline,
        start,
        log,
        signal: session.signal,
      })
      metrics.snapshotTaken()
    }
    const decoder = new PgOutputDecoder({
      queue: pipeline.queue,
      versionOffset: start.history.versionOffset,
      ...createCodecSource(catalog, session),
      onDescribedAgain: () => watch.look(),
    })
    stream = new WalStream({
      connection,
      pipeline,
      decoder,
      from: start.lsn,
      isAwaited: () => isReading || isAwaited(),
      log,
    })
    await stream.start(config.slotName, config.publicationName)
    log.info({ from: formatLsn(start.lsn) }, 'streaming')
    onUrge(() => stream?.askPosition())
    onState('streaming')
    await readUnread({
      catalog,
      warehouse,
      crmDatabaseUrl: config.crmDatabaseUrl,
      feed: config.slotName,
      reached: () => {
        stream?.askPosition()
        return reached
      },
      tell: session.tell,
      log,
      signal: session.signal,
    })
    isReading = false
    onPosition(reached)
    return connection.ended
  }
  return Promise.race([reading(), pipeline.failed])
}

async function planSession(
  { config, warehouse, log }: SessionOptions,
  source: pg.Client,
  catalog: Catalog,
  identity: SourceIdentity,
  stored: Position | undefined,
): Promise<StartPlan> {
  const plan = planStart({
    identity,
    stored,
    slot: await readSlot(source, config.slotName),
    slotName: config.slotName,
    isOtherPublication: await isOtherPublication(warehouse, catalog.memberships),
  })
  if (plan.kind === 'snapshot') {
    const { reason } = plan
    if (reason) log.warn({ error_code: reason.code, reason: reason.message }, 'taking a new snapshot')
    else log.info('taking the first snapshot')
  }
  return plan
}
