import { createHash } from 'node:crypto'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { chLiteral } from '../derive/sql-names.ts'
import type { KafkaConfig } from '../options.ts'

/** The consumer group of ClickHouse; what it has committed has gone through all views. */
export function clickHouseGroup({ topicPrefix }: KafkaConfig): string {
  return `${topicPrefix}-clickhouse`
}

/** The consumer group of the worker: however many workers run, each partition is with one of them. */
export const workerGroup = ({ topicPrefix }: KafkaConfig) => `${topicPrefix}-worker`

/** Topic of a table, as Debezium names it: what a topic's name may not hold is an underscore. */
export function changeTopic({ topicPrefix }: KafkaConfig, qualifiedName: string): string {
  return `${topicPrefix}.${qualifiedName}`.replace(/[^A-Za-z0-9._-]/g, '_')
}

/** All of them. Debezium's other topics have no dot behind the prefix. */
const topicPattern = ({ topicPrefix }: KafkaConfig) => `^${topicPrefix}[.].+`

/**
 * Makes ClickHouse read the change topics. One table reads all of them by a pattern, so that a table added later needs
 * nothing here: its topic is found within a second.
 *
 * A flush every 50 ms instead of every 7.5 s: commit to visible takes 0.1 s (ClickHouse's defaults: 5.5 s). With 20 ms it is
 * 15 ms less, and ClickHouse takes twice the CPU while nothing changes (measured: bench, chain). Where Debezium looks more
 * seldom than that, so does ClickHouse.
 * A message is taken as it came (RawBLOB): JSONAsString would take an array apart, and a dead letter has to be whole.
 */
export async function applyKafkaTable(warehouse: Warehouse, config: KafkaConfig): Promise<void> {
  const group = clickHouseGroup(config)
  const brokers = config.clickhouseKafkaBrokers ?? config.kafkaBrokers.join(',')
  const librdkafka = {
    'kafka.auto_offset_reset': 'earliest',
    'kafka.topic_metadata_refresh_interval_ms': '1000',
    'kafka.allow_auto_create_topics': 'false',
    // An engine that was killed is missed after this (the least that brokers allow). No group.instance.id, with which it
    // would be back at once: a static member that a broker's restart fences is dead for good (librdkafka#3437; seen in
    // one of three restarts).
    'kafka.session_timeout_ms': '6000',
  }
  const flushIntervalMs = Math.max(50, config.pollIntervalMs)
  const settings = `kafka_topic_list = ${chLiteral(topicPattern(config))}, kafka_group_name = ${chLiteral(group)},
      kafka_format = 'RawBLOB', kafka_handle_error_mode = 'stream', kafka_num_consumers = 1,
      kafka_thread_per_consumer = 1, kafka_poll_timeout_ms = 20, kafka_flush_interval_ms = ${flushIntervalMs},
      kafka_consumer_reschedule_ms = 10, kafka_max_block_size = 65536, kafka_poll_max_batch_size = 65536`
  const definition = createHash('sha256')
    .update(JSON.stringify([librdkafka, brokers, settings]))
    .digest('hex')
    .slice(0, 12)
  await dropOtherTable(warehouse, definition)
  const collection = Object.entries(librdkafka).map(([name, value]) => `\`${name}\` = ${chLiteral(value)}`)
  await warehouse.command(`
    CREATE NAMED COLLECTION IF NOT EXISTS tendon_kafka AS
      kafka_broker_list = ${chLiteral(brokers)}, ${collection.join(', ')}`)
  await warehouse.command(`
    CREATE TABLE IF NOT EXISTS cdc.kafka (value String)
    ENGINE = Kafka(tendon_kafka)
    SETTINGS ${settings}
    COMMENT ${chLiteral(`Change topics of Kafka, all of one connector (${definition})`)}`)
  await warehouse.command(`
    CREATE MATERIALIZED VIEW IF NOT EXISTS cdc.kafka_messages TO cdc.messages AS
    SELECT _topic AS topic, toUInt32(_partition) AS partition, _offset AS offset, _key AS key,
      if(_error = '', value, _raw_message) AS value, _error AS error
    FROM cdc.kafka`)
}

const kafkaTableComment = defineQuery({
  name: 'kafka-table',
  sql: `SELECT comment FROM system.tables WHERE database = 'cdc' AND name = 'kafka'`,
  params: z.object({}),
  row: z.object({ comment: z.string() }),
})

/** One that reads other brokers, other topics or for another group. Offsets are Kafka's, so that nothing is lost with it. */
async function dropOtherTable(warehouse: Warehouse, definition: string): Promise<void> {
  const [table] = await warehouse.query(kafkaTableComment, {})
  if (!table || table.comment.includes(definition)) return
  await stopReading(warehouse)
  await warehouse.command('DROP NAMED COLLECTION IF EXISTS tendon_kafka')
}

/** Until the table is applied again. The view goes last: what is read without it goes nowhere, and is committed as read. */
export async function stopReading(warehouse: Warehouse): Promise<void> {
  await warehouse.command('DROP TABLE IF EXISTS cdc.kafka SYNC')
  await warehouse.command('DROP VIEW IF EXISTS cdc.kafka_messages SYNC')
}

/** Whether ClickHouse reads, with whatever definition. */
export async function isReading(warehouse: Warehouse): Promise<boolean> {
  return (await warehouse.query(kafkaTableComment, {})).length > 0
}
