import type { KafkaMessage } from 'kafkajs'
import { z } from 'zod'
import { debeziumVersion, historyPattern, sequencePattern } from './debezium-version.ts'
import { unavailableJson } from './derive-connector.ts'

/** A change as it comes by Kafka. What cannot be read as one is a dead letter already, by a view of ClickHouse. */
export type ChangeMessage = {
  topic: string
  partition: number
  offset: bigint
  /** `schema.table` */
  table: string
  /** As in `cdc.events`; empty for a truncate. */
  key: string
  /** The key the row had before, where an UPDATE changed it. */
  formerKey: string
  version: bigint
  op: 'r' | 'c' | 'u' | 'd' | 't'
  lsn: string
  txId: string
  /** Microseconds since 1970; 0 when Debezium does not tell. */
  committedAt: bigint
  /** The message's value, as it came. */
  value: Buffer
  /** Some of its values were not sent, since an UPDATE left them as they were (TOAST). */
  isIncomplete: boolean
  /** Its columns as JSON has them: numbers beyond a double's reach are not exact. */
  columns: Map<string, unknown>
}

const whole = z.union([z.int(), z.string().regex(/^\d+$/)])
const sequence = z.string().regex(new RegExp(sequencePattern))
const history = z.string().regex(new RegExp(historyPattern))

const row = z.looseObject({
  __op: z.enum(['r', 'c', 'u', 'd']),
  __source_lsn: whole.nullish(),
  __source_ts_us: z.int().nullish(),
  __source_schema: z.string(),
  __source_table: z.string().min(1),
  __source_txId: whole.nullish(),
  __source_sequence: sequence,
  __history: history,
})

const truncation = z.object({
  op: z.literal('t'),
  source: z.object({
    schema: z.string(),
    table: z.string().min(1),
    lsn: whole,
    txId: whole.nullish(),
    ts_us: z.int().nullish(),
    sequence,
  }),
  __history: history,
})

const unavailableBytes = Buffer.from(unavailableJson)

/** @returns undefined for what is none */
export function parseChangeMessage(
  topic: string,
  partition: number,
  message: Pick<KafkaMessage, 'offset' | 'key' | 'value' | 'headers'>,
): ChangeMessage | undefined {
  const { value } = message
  if (!value) return undefined
  const json = parseJson(value.toString())
  const place = { topic, partition, offset: BigInt(message.offset), value }
  const change = row.safeParse(json).data
  const key = normalKey(message.key?.toString() ?? '')
  if (change && key.startsWith('{') && parseJson(key) !== undefined) {
    return {
      ...place,
      table: `${change.__source_schema}.${change.__source_table}`,
      key,
      formerKey: normalKey(message.headers?.['__debezium.oldkey']?.toString() ?? key),
      op: change.__op,
      version: debeziumVersion({
        op: change.__op,
        sequence: change.__source_sequence,
        history: change.__history,
      }),
      lsn: String(change.__source_lsn ?? 0),
      txId: String(change.__source_txId ?? 0),
      committedAt: BigInt(change.__source_ts_us ?? 0),
      isIncomplete: change.__op !== 'd' && value.includes(unavailableBytes),
      columns: new Map(Object.entries(change).filter(([name]) => !name.startsWith('__'))),
    }
  }
  const truncated = truncation.safeParse(json).data
  if (!truncated) return undefined
  const { source } = truncated
  return {
    ...place,
    table: `${source.schema}.${source.table}`,
    key: '',
    formerKey: '',
    op: 't',
    version: debeziumVersion({
      op: 't',
      sequence: source.sequence,
      history: truncated.__history,
    }),
    lsn: String(source.lsn),
    txId: String(source.txId ?? 0),
    committedAt: BigInt(source.ts_us ?? 0),
    isIncomplete: false,
    columns: new Map(),
  }
}

/**
 * Jackson writes what lies beyond the Basic Multilingual Plane as two escapes (RFC 8259 §7); in the log it stands as
 * itself, as the view of `message-views.ts` has it.
 */
function normalKey(json: string): string {
  return json.replace(
    /\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|.)/gi,
    (sequence, high?: string, low?: string) =>
      high && low ? String.fromCharCode(Number.parseInt(high, 16), Number.parseInt(low, 16)) : sequence,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
