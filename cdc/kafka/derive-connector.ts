import type { ReplicaTable } from '../derive/derive-table.ts'
import type { KafkaConfig } from '../options.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import type { ConnectorConfig } from './connect-rest.ts'

/**
 * What stands for a value that an UPDATE left unchanged out of line (TOAST), and therefore did not send. No value of
 * PostgreSQL holds a NUL, so that none is taken for it.
 */
export const unavailableValue = '__debezium\u0000unavailable_value'
/** As it stands in a message's JSON; there a text may look like it, whose own backslash is doubled. */
export const unavailableJson = JSON.stringify(unavailableValue)

/** How often an idle source is given something to read, so that its WAL is let go. */
const heartbeatIntervalMs = 1_000

/** The tables of the initial snapshot; later it has no meaning any more. */
export const snapshotTables = 'snapshot.include.collection.list'

/** One line of connectors' lives: versions of what it streams are above `base << 64`. */
export type ConnectorHistory = { base: bigint; offset: bigint }

/** As a static field of each message says it, so that a message's version never depends on when it is read. */
export function formatHistory({ base, offset }: ConnectorHistory): string {
  return `${base}/${offset}`
}

/** The history of a connector that is there already. */
export function historyOf(config: ConnectorConfig): ConnectorHistory | undefined {
  const parts = /^(\d+)\/(\d+)$/.exec(config['transforms.history.static.value'] ?? '')
  return parts ? { base: BigInt(parts[1]!), offset: BigInt(parts[2]!) } : undefined
}

/** Debezium's lists hold regular expressions, separated by commas. */
function exactly(name: string): string {
  return name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll(',', '\\,')
}

/** What stays out of the messages, as `column.exclude.list` has it. */
export const omittedList = 'column.exclude.list'
export function omittedColumns(tables: readonly SourceTable[]): string[] {
  return tables.flatMap(({ qualifiedName, omitted }) =>
    omitted.map((column) => exactly(`${qualifiedName}.${column}`)),
  )
}

/**
 * The configuration of Debezium's PostgreSQL connector for the tables of the registry. Where the database is, and as
 * whom it logs in, stands in the environment of the Connect worker, so that no password is in a topic.
 */
export function deriveConnector(
  tables: readonly ReplicaTable[],
  options: { config: KafkaConfig; databaseName: string; history: ConnectorHistory },
): ConnectorConfig {
  const { config, databaseName, history } = options
  const omitted = omittedColumns(tables.map(({ source }) => source))
  // A message's key is the primary key, and a DELETE under REPLICA IDENTITY USING INDEX does not carry it.
  const otherKeys = tables
    .filter(({ source }) => source.replicaIdentity === 'index')
    .map(({ source }) => `${exactly(source.qualifiedName)}:${source.key.map(exactly).join(',')}`)
  const domains = new Map(tables.flatMap(({ source }) => [...source.domains]))
  return {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': '1',
    'database.hostname': `\${env:CRM_CDC_HOST}`,
    'database.port': `\${env:CRM_CDC_PORT}`,
    'database.user': `\${env:CRM_CDC_USER}`,
    'database.password': `\${env:CRM_CDC_PASSWORD}`,
    'database.dbname': databaseName,
    // Values as text: a driver's binary formats would be written in Java's way.
    'driver.binaryTransfer': 'false',
    'plugin.name': 'pgoutput',
    'slot.name': config.slotName,
    'publication.name': config.publicationName,
    'publication.autocreate.mode': 'disabled',
    'topic.prefix': config.topicPrefix,
    'topic.creation.default.partitions': String(config.topicPartitions),
    'topic.creation.default.replication.factor': '-1',
    // Which tables are streamed is the publication's to say, so that one more needs no restart.
    [snapshotTables]: tables.map(({ source }) => exactly(source.qualifiedName)).join(','),
    ...(omitted.length > 0 && { [omittedList]: omitted.join(',') }),
    ...(otherKeys.length > 0 && { 'message.key.columns': otherKeys.join(';') }),

    // As `initial`, but for a slot that has lost what was not read yet (deploy/connect).
    'snapshot.mode': 'custom',
    'snapshot.mode.custom.name': 'tendon',

    'heartbeat.interval.ms': String(heartbeatIntervalMs),
    'heartbeat.action.query': `SELECT pg_logical_emit_message(true, 'tendon-heartbeat', '')`,
    'message.prefix.exclude.list': '.*',
    'skipped.operations': 'none',
    'tombstones.on.delete': 'false',
    'event.converting.failure.handling.mode': 'fail',
    'poll.interval.ms': String(config.pollIntervalMs),
    'max.batch.size': '8192',
    'max.queue.size': '32768',
    // Rows may be large: 60 of 10 MB, counted alone, were too many for a heap of 512 MB.
    'max.queue.size.in.bytes': String(32 << 20),
    // So many rows of a snapshot are held at once; by default 10,240, of which 600 of 1 MB were too many.
    'snapshot.fetch.size': '100',
    'status.update.interval.ms': '1000',
    'retriable.restart.connector.wait.ms': '1000',
    // Then the task fails, and says why, instead of trying the same for ever behind a state of RUNNING.
    'errors.max.retries': '3',

    // All values are written by deploy/connect's PostgresText, which has to be given them without loss.
    'decimal.handling.mode': 'string',
    'include.unknown.datatypes': 'true',
    'unavailable.value.placeholder': unavailableValue,
    converters: 'text',
    'text.type': 'tendon.PostgresText',
    'text.unavailable': unavailableValue,
    ...(domains.size > 0 && {
      'text.domains': [...domains].map(([name, base]) => `${name}=${base}`).join(','),
    }),

    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'key.converter.schemas.enable': 'false',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': 'false',
    // Without these three a NULL becomes the column's default.
    'value.converter.replace.null.with.default': 'false',
    'transforms.unwrap.replace.null.with.default': 'false',
    'transforms.history.replace.null.with.default': 'false',
    transforms: 'unwrap,history',
    predicates: 'truncate',
    'predicates.truncate.type': 'tendon.IsTruncate',
    'transforms.unwrap.type': 'io.debezium.transforms.ExtractNewRecordState',
    'transforms.unwrap.predicate': 'truncate',
    'transforms.unwrap.negate': 'true',
    'transforms.unwrap.delete.tombstone.handling.mode': 'rewrite',
    'transforms.unwrap.add.fields':
      'op,source.lsn,source.ts_us,source.schema,source.table,source.txId,source.sequence',
    'transforms.unwrap.add.fields.prefix': '__',
    'transforms.history.type': 'org.apache.kafka.connect.transforms.InsertField$Value',
    'transforms.history.static.field': '__history',
    'transforms.history.static.value': formatHistory(history),
  }
}
