import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { Admin, Consumer } from 'kafkajs'
import type pg from 'pg'
import type { Position } from '../changes/positions.ts'
import { applyReplicas } from '../derive/apply.ts'
import { type Catalog, readCatalog } from '../derive/catalog.ts'
import { type CatalogWatch, createCatalogWatch } from '../derive/catalog-watch.ts'
import type { ReplicaTable } from '../derive/derive-table.ts'
import { readKnownTables } from '../derive/known-tables.ts'
import { cdcErrors } from '../errors.ts'
import { keepGauges } from '../feed-gauges.ts'
import type { FeedMetrics } from '../feed-metrics.ts'
import type { FeedHooks } from '../feed-supervisor.ts'
import type { KafkaConfig } from '../options.ts'
import type { RegistryEntry } from '../registry.ts'
import { withAdvisoryLock, withApplyLock } from '../source/advisory-lock.ts'
import { connectSource } from '../source/postgres-connection.ts'
import { createSourceRows } from '../source/source-rows.ts'
import type { Tell } from '../telling/teller.ts'
import { readUnread } from '../whole-tables/unread-tables.ts'
import { applyChain, omitFirst } from './apply-chain.ts'
import { createBatchHandler } from './batch-handler.ts'
import { createChangeConsumer } from './change-consumer.ts'
import { type Connector, createConnector } from './connect-rest.ts'
import { watchConnector } from './connector-watch.ts'
import { createFeedPosition } from './feed-position.ts'
import { createKafkaClient } from './kafka-client.ts'
import {
  awaitedEnds,
  type Bounds,
  furthest,
  hasReached,
  type KafkaProgress,
  type Offsets,
  withinBounds,
} from './kafka-progress.ts'
import { finishInitialSnapshot } from './kafka-snapshot.ts'
import { workerGroup } from './kafka-table.ts'
import { createMisreadTables } from './misread-tables.ts'
import { readBefore, refuseBroken } from './topic-continuity.ts'

/** A change need not wait for it: it is only how soon the position follows. */
const progressIntervalMs = 250
/** How often the position is written while nothing changes. */
const idlePositionIntervalMs = 2_000

export type KafkaSessionOptions = FeedHooks & {
  config: KafkaConfig
  /** Declared in code; what was added at run time comes beside them. */
  entries: readonly RegistryEntry[]
  warehouse: Warehouse
  tell: Tell
  log: Log
  metrics: FeedMetrics
}

/**
 * One life of the feed by Debezium and Kafka: brings the replicas, ClickHouse's Kafka table and the connector to the
 * registry and the catalog, and then does what these do not: see `batch-handler.ts` and `feed-position.ts`.
 * @throws always, what ended it
 */
export async function runKafkaSession(options: KafkaSessionOptions): Promise<never> {
  const { config, warehouse, log, metrics, onState } = options
  const ending = new AbortController()
  const signal = AbortSignal.any([options.signal, ending.signal])
  onState('starting')
  const source = await connectSource(config.crmDatabaseUrl)
  const kafka = createKafkaClient(config.kafkaBrokers, log)
  const admin = kafka.admin()
  const consumer = kafka.consumer({
    groupId: workerGroup(config),
    sessionTimeout: 10_000,
    heartbeatInterval: 1_000,
    maxWaitTimeInMs: 500,
    retry: { retries: 3, restartOnFailure: async () => false },
  })
  try {
    const readEntries = () => readKnownTables(warehouse, options.entries)
    await connectAdmin(admin)
    const connector = createConnector(config.kafkaConnectUrl, config.slotName)
    // Workers that start at once make the tables and the connector one after the other.
    const make = async () => {
      const entries = await readEntries()
      const { publicationName } = config
      await omitFirst({ source, connector, publicationName, entries })
      const catalog = await readCatalog(source, warehouse, publicationName, entries)
      for (const { code, message } of catalog.problems) log.error({ error_code: code }, message)
      for (const text of catalog.leftOut) log.warn(text)
      // ClickHouse goes on reading while its tables are brought along.
      const inShape = await applyReplicas(source, warehouse, catalog, log, { runsAhead: true })
      const chain = await applyChain({ source, warehouse, admin, connector, catalog, config, log, signal })
      const before = await readBefore({ catalog, warehouse, config, ...chain })
      return { ...chain, before, catalog, inShape }
    }
    const made = await withApplyLock(source, config.slotName, make, signal)
    const { catalog } = made
    const watch = createCatalogWatch({ source, warehouse, catalog, ...config, readEntries, signal })
    return await Promise.race([
      follow({ ...options, signal }, { ...made, source, connector, consumer, watch }),
      watch.run(),
      keepGauges({ ...options, source, catalog, slotName: config.slotName, signal }),
      watchConnector({
        connector,
        name: config.slotName,
        connectUrl: config.kafkaConnectUrl,
        signal,
        log,
        metrics,
      }),
    ])
  } finally {
    ending.abort()
    await Promise.all([consumer.disconnect(), admin.disconnect()]).catch(() => {})
    await source.end().catch(() => {})
  }
}

async function connectAdmin(admin: Admin): Promise<void> {
  try {
    await admin.connect()
  } catch (cause) {
    throw cdcErrors.kafkaUnavailable('No broker could be reached.', { cause })
  }
}

async function follow(
  session: KafkaSessionOptions,
  parts: {
    source: pg.Client
    catalog: Catalog
    connector: Connector
    consumer: Consumer
    progress: KafkaProgress
    position: Position
    base: bigint
    isInitial: boolean
    topics: string[]
    before: Offsets
    inShape: ReplicaTable[]
    watch: Pick<CatalogWatch, 'look' | 'confirm'>
  },
): Promise<never> {
  const { config, warehouse, explained, log, metrics, signal, onState, onPosition, isAwaited } = session
  const { source, catalog, connector, consumer, progress, isInitial, watch } = parts
  // Nobody has caught up who has not read a table.
  let isReading = true
  let urged = Promise.withResolvers<void>()
  session.onUrge(() => urged.resolve())

  const position = createFeedPosition({
    source,
    warehouse,
    slotName: config.slotName,
    stored: parts.position,
    isInitial,
  })
  /** Topics that are not those any more of which messages were read. */
  const madeAnew = new Set<string>()

  const misread = createMisreadTables(warehouse)

  const handle = createBatchHandler({
    progress,
    catalog,
    warehouse,
    readSource: createSourceRows(() => connectSource(config.crmDatabaseUrl)),
    tell: session.tell,
    inKafka: position.inKafka,
    onOtherShape: (what) => {
      const difference = `${catalog.fingerprint} ${what}`
      if (explained.has(difference)) return
      explained.add(difference)
      watch.look()
    },
    onMisread: misread.note,
    confirmCatalog: () => watch.confirm(),
    onVisible: position.onVisible,
    log,
    metrics,
  })

  const changes = createChangeConsumer({
    consumer,
    groupId: workerGroup(config),
    topics: parts.topics,
    progress,
    handle,
    onMadeAnew: (topic) => madeAnew.add(topic),
    newestVisible: () => position.current().version,
    log,
    signal,
  })

  /** What the worker has dealt with: in this life, or in one before. */
  let { before } = parts
  const dealtWith = (): Offsets => furthest(before, changes.handled())

  /** @throws TENDON-CDC-023 when messages have gone that nobody has dealt with */
  async function look(): Promise<Bounds> {
    const known = { dealtWith: dealtWith(), madeAnew }
    const [bounds, committed] = await Promise.all([
      progress.bounds(),
      progress.committed(workerGroup(config)),
    ])
    await refuseBroken({ source, catalog, warehouse, config, log, signal, ...known, bounds, committed })
    // Another worker may have some of the partitions.
    before = withinBounds(committed, bounds)
    return bounds
  }

  /** Moves the position on, to where everything confirmed by Debezium has been dealt with. */
  async function moveOn(): Promise<never> {
    let writtenAt = 0
    for (;;) {
      await misread.settle()
      await position.noteSource()
      const lsn = await position.readConfirmed()
      const ends = awaitedEnds(await look())
      for (let lookedAt = performance.now(); !hasReached(dealtWith(), ends); ) {
        await delay(10, undefined, { signal })
        if (performance.now() - lookedAt < progressIntervalMs) continue
        lookedAt = performance.now()
        await look()
      }
      const isLate = performance.now() - writtenAt > idlePositionIntervalMs
      if (await position.dealtWith(lsn, isAwaited() || isReading || isLate)) {
        writtenAt = performance.now()
        if (!isReading) onPosition(lsn)
      }
      await Promise.race([urged.promise, delay(progressIntervalMs, undefined, { signal })])
      urged = Promise.withResolvers()
    }
  }

  async function snapshotFirst(): Promise<never> {
    if (isInitial) {
      onState('snapshot')
      await finishInitialSnapshot({
        connector,
        warehouse,
        catalog: { ...catalog, replicas: parts.inShape },
        progress,
        base: parts.base,
        dealtWith,
        tell: session.tell,
        log,
        signal,
      })
      await position.onWhole()
      metrics.snapshotTaken()
    }
    onState('streaming')
    const reading = readAll()
    const [never] = await Promise.all([moveOn(), reading])
    return never
  }

  /** One worker does, and the others find that it is done. */
  async function readAll(): Promise<void> {
    const { crmDatabaseUrl, slotName: feed } = config
    await withAdvisoryLock(source, `tendon ${feed} read`, signal, () =>
      readUnread({
        catalog,
        warehouse,
        crmDatabaseUrl,
        feed,
        reached: () => position.current().lsn,
        tell: session.tell,
        log,
        signal,
      }),
    )
    isReading = false
    onPosition(position.current().lsn)
  }

  return Promise.race([changes.run(), snapshotFirst()])
}
