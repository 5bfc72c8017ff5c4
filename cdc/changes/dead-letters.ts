import { clickHouseErrorCode } from '@tendon/warehouse/client.ts'
import { versionAt } from '../source/lsn.ts'
import type { EventBatch, EventHeader } from './event-batch.ts'
import { isoTime } from './positions.ts'

/** A row of `cdc.dead_letters`: a change that could not be applied, whole, with the reason. */
export type DeadLetter = {
  table: string
  key: string
  version: string
  lsn: string
  op: string
  reason: string
  encoding: 'json' | 'hex'
  message: string
  committed_at: string
}

/** A message that could not be decoded: its bytes. */
export function undecodedLetter(
  header: EventHeader,
  table: string,
  message: Buffer,
  error: unknown,
): DeadLetter {
  return {
    table,
    key: '',
    version: versionAt(header.position, header.index).toString(),
    lsn: String(header.lsn),
    op: header.op,
    reason: error instanceof Error ? error.message : String(error),
    encoding: 'hex',
    message: message.toString('hex'),
    committed_at: isoTime(header.committedAt),
  }
}

/** An event that ClickHouse would not take: its row, with ClickHouse's words. */
export function refusedLetter(batch: EventBatch, event: number, error: unknown): DeadLetter {
  return { ...batch.describe(event), reason: reasonOf(error), encoding: 'json' }
}

/** ClickHouse's number of an error and its words. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  const words = cause instanceof Error ? cause.message : String(error)
  return `${clickHouseErrorCode(error)}: ${words}`
}
