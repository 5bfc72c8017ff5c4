import { TendonError } from '@tendon/platform/errors.ts'
import type { Log } from '@tendon/platform/log.ts'
import { cdcErrors } from '../errors.ts'
import type { KafkaConfig } from '../options.ts'
import { type ConnectorStatus, createConnector } from './connect-rest.ts'
import { failureOf, isRunning, traceOf } from './connector-watch.ts'
import { createKafkaClient } from './kafka-client.ts'
import { createKafkaProgress, type Offsets, topicOf } from './kafka-progress.ts'
import { changeTopic, clickHouseGroup, workerGroup } from './kafka-table.ts'

type ConnectorReport = { state: string; task: string | null; trace: string[] }

/** Messages that ClickHouse, and the worker, have not dealt with. */
type TopicLag = { topic: string; clickhouse_messages: number; worker_messages: number }

export type KafkaReport = {
  /** null when there is none, absent when Kafka Connect could not be asked. */
  connector?: ConnectorReport | null
  /** Absent when Kafka could not be asked. */
  lag?: TopicLag[]
  /** Members of the worker's group; absent when Kafka could not be asked. */
  workers?: number
}

/** How the parts between Debezium and ClickHouse are doing. A part that does not answer is a problem beside what the others say. */
export async function readKafkaReport(
  config: KafkaConfig,
  tables: string[],
  log: Log,
): Promise<{ kafka: KafkaReport; problems: TendonError[] }> {
  const kafka: KafkaReport = {}
  const problems: TendonError[] = []
  try {
    const status = await createConnector(config.kafkaConnectUrl, config.slotName).status()
    kafka.connector = status ? describe(status) : null
    problems.push(...notRunning(status))
  } catch (err) {
    problems.push(codedAs(cdcErrors.connectUnavailable, 'Kafka Connect could not be asked.', err))
  }
  try {
    Object.assign(kafka, await readGroups(config, tables, log))
  } catch (err) {
    problems.push(codedAs(cdcErrors.kafkaUnavailable, 'Kafka could not be asked.', err))
  }
  return { kafka, problems }
}

const codedAs = (factory: (typeof cdcErrors)['kafkaUnavailable'], detail: string, err: unknown) =>
  err instanceof TendonError ? err : factory(detail, { cause: err })

async function readGroups(
  config: KafkaConfig,
  tables: string[],
  log: Log,
): Promise<Pick<KafkaReport, 'lag' | 'workers'>> {
  const admin = createKafkaClient(config.kafkaBrokers, log).admin()
  try {
    await admin.connect()
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
    const [group] = (await admin.describeGroups([workerGroup(config)])).groups
    const lag = topics.map((topic) => ({
      topic,
      clickhouse_messages: missing(topic, ends, shown),
      worker_messages: missing(topic, ends, told),
    }))
    return { lag, workers: group?.members.length ?? 0 }
  } finally {
    await admin.disconnect()
  }
}

function describe(status: ConnectorStatus): ConnectorReport {
  return { state: status.state, task: status.task?.state ?? null, trace: traceOf(status) ?? [] }
}

/** Before its first start there is none, which the slot's state says. */
function notRunning(status: ConnectorStatus | undefined): TendonError[] {
  if (!status || isRunning(status)) return []
  return [failureOf(status)]
}

function missing(topic: string, ends: Offsets, reached: Offsets): number {
  let messages = 0n
  for (const [id, end] of ends) {
    if (topicOf(id) === topic) messages += end - (reached.get(id) ?? 0n)
  }
  return Number(messages)
}
