import type { Log } from '@tendon/platform/log.ts'
import type { KafkaConfig } from '../options.ts'
import { type ConnectorStatus, createConnector } from './connect-rest.ts'
import { createKafkaClient } from './kafka-client.ts'
import { createKafkaProgress, type Offsets, topicOf } from './kafka-progress.ts'
import { changeTopic, clickHouseGroup, workerGroup } from './kafka-table.ts'

export type KafkaReport = {
  connector: { state: string; task: string | null; trace: string | null } | null
  /** Messages that ClickHouse, and the worker, have not dealt with, by topic. */
  lag: { topic: string; clickhouse_messages: number; worker_messages: number }[]
}

/** How the parts between Debezium and ClickHouse are doing. */
export async function readKafkaReport(config: KafkaConfig, tables: string[], log: Log): Promise<KafkaReport> {
  const admin = createKafkaClient(config.kafkaBrokers, log).admin()
  await admin.connect()
  try {
    const existing = new Set(await admin.listTopics())
    const topics = tables.map((table) => changeTopic(config, table)).filter((topic) => existing.has(topic))
    const progress = createKafkaProgress({
      admin,
      topics,
      clickHouseGroup: clickHouseGroup(config),
      signal: new AbortController().signal,
    })
    const { ends } = await progress.bounds()
    const shown = await progress.committed(clickHouseGroup(config))
    const told = await progress.committed(workerGroup(config))
    const status = await createConnector(config.kafkaConnectUrl, config.slotName).status()
    return {
      connector: status ? describe(status) : null,
      lag: topics.map((topic) => ({
        topic,
        clickhouse_messages: missing(topic, ends, shown),
        worker_messages: missing(topic, ends, told),
      })),
    }
  } finally {
    await admin.disconnect()
  }
}

function describe({ state, task }: ConnectorStatus): KafkaReport['connector'] {
  return { state, task: task?.state ?? null, trace: task?.trace?.split('\n')[0] ?? null }
}

function missing(topic: string, ends: Offsets, reached: Offsets): number {
  let messages = 0n
  for (const [id, end] of ends) {
    if (topicOf(id) === topic) messages += end - (reached.get(id) ?? 0n)
  }
  return Number(messages)
}
