import { counted } from '@tendon/platform/counted.ts'
import type { KafkaReport } from '../kafka/kafka-report.ts'
import type { FeedReport } from './feed-report.ts'
import { describeAdvice, describeProblem } from './problem.ts'

/** A report for people. */
export function describeFeedReport(report: FeedReport): string {
  const { source, slot, position, tables, dead_letters: letters, kafka, problems, advice } = report
  const lines = [
    `source    system ${source.system_identifier}, timeline ${source.timeline}`,
    slot
      ? `slot      ${slot.active ? 'streaming' : 'nobody reads it'}, WAL ${slot.wal_status ?? 'unknown'}, ${bytes(slot.behind_bytes ?? 0)} behind`
      : `slot      there is none${position ? '' : ': the feed has never run'}`,
    position
      ? `position  ${position.version}, newest change visible committed ${position.committed_at}; late by ${seconds(position.late_at_most_seconds)} at most; stored ${seconds(position.age_seconds)} ago`
      : 'position  none yet',
    ...(kafka ? describeKafka(kafka) : []),
    ...tables.map(({ table, snapshot_at, rows, last_change_at, dead_letters }) =>
      snapshot_at
        ? `table     ${table}, ${rows === null ? 'no replica' : counted(rows, 'row')}, last change ${last_change_at ?? 'none'}, ${counted(dead_letters, 'dead letter')}`
        : `table     ${table}, not read whole yet`,
    ),
    `letters   ${counted(letters.total, 'dead letter')}, ${letters.of_no_table} of them of no table`,
    ...Object.entries(letters.of_others).map(
      ([table, count]) => `          ${count} of ${table}, which is not carried`,
    ),
  ]
  const said = [...problems.map(describeProblem), ...advice.map(describeAdvice)]
  return `${lines.join('\n')}\n${said.join('')}`
}

function describeKafka({ connector, lag, workers }: KafkaReport): string[] {
  const lagLines = lag?.map(
    ({ topic, clickhouse_messages, worker_messages }) =>
      `topic     ${topic}, ClickHouse ${clickhouse_messages} and the worker ${worker_messages} messages behind`,
  )
  return [
    ...describeConnector(connector),
    ...(lagLines ?? ['topic     unknown: Kafka could not be asked']),
    ...(workers === undefined
      ? []
      : [`workers   ${workers || 'none runs: start one with `npm exec -- node cdc/main.ts`'}`]),
  ]
}

function describeConnector(connector: KafkaReport['connector']): string[] {
  if (connector === undefined) return ['connector unknown: Kafka Connect could not be asked']
  if (connector === null) return ['connector there is none']
  const { state, task, trace } = connector
  return [`connector ${state}, task ${task ?? 'none'}`, ...trace.map((line) => `          ${line.trim()}`)]
}

function bytes(count: number): string {
  return count < 1 << 20 ? counted(count, 'byte') : `${(count / (1 << 20)).toFixed(1)} MiB`
}

function seconds(count: number): string {
  return `${count.toFixed(1)} s`
}
