import type { FeedReport } from './feed-report.ts'

/** A report for people. */
export function describeFeedReport({ slot, position, tables, kafka, problems, advice }: FeedReport): string {
  const lines = [
    slot
      ? `slot      ${slot.active ? 'streaming' : 'nobody reads it'}, WAL ${slot.wal_status ?? 'unknown'}, ${bytes(slot.behind_bytes ?? 0)} behind`
      : 'slot      there is none: the feed has never run',
    position
      ? `position  ${position.version}, committed ${position.committed_at}, stored ${seconds(position.age_seconds)} ago`
      : 'position  none yet',
    ...(kafka
      ? [
          kafka.connector
            ? `connector ${kafka.connector.state}, task ${kafka.connector.task ?? 'none'}${kafka.connector.trace ? `: ${kafka.connector.trace}` : ''}`
            : 'connector there is none',
          ...kafka.lag.map(
            ({ topic, clickhouse_messages, worker_messages }) =>
              `topic     ${topic}, ClickHouse ${clickhouse_messages} and the worker ${worker_messages} messages behind`,
          ),
        ]
      : []),
    ...tables.map(({ table, snapshot_at, rows, last_change_at, dead_letters }) =>
      snapshot_at
        ? `table     ${table}, ${rows} rows, last change ${last_change_at ?? 'none'}, ${dead_letters} dead letters`
        : `table     ${table}, not read whole yet`,
    ),
    ...problems.map(({ code, detail }) => `problem   ${code}: ${detail}`),
    ...advice.map((text) => `advice    ${text}`),
  ]
  return `${lines.join('\n')}\n`
}

function bytes(count: number): string {
  return count < 1 << 20 ? `${count} bytes` : `${(count / (1 << 20)).toFixed(1)} MiB`
}

function seconds(count: number): string {
  return `${count.toFixed(1)} s`
}
