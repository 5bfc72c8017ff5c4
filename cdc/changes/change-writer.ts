import type { Log } from '@tendon/platform/log.ts'
import { clickHouseErrorCode, type Warehouse } from '@tendon/warehouse/client.ts'
import { retry } from '../retry.ts'
import { versionAt } from '../source/lsn.ts'
import { truncateReplica } from '../whole-tables/truncate-replica.ts'
import { completeChanges, type SourceRows } from './complete-changes.ts'
import { refusedLetter } from './dead-letters.ts'
import { type EventBatch, eventColumns, type Truncation } from './event-batch.ts'
import { keepUnapplied } from './unapplied.ts'

/**
 * ClickHouse's errors about a value, which another attempt would meet again: parsing (6, 26, 27, 38, 41, 72, 376),
 * conversion (53, 70, 349, 395), range (69, 131, 321, 407), incorrect data (33, 117).
 */
const valueErrors = new Set([6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 376, 395, 407])

/** Whether ClickHouse refused a value, and would again. */
export const isValueError = (error: unknown) => valueErrors.has(clickHouseErrorCode(error) ?? 0)

export type ChangeWriter = {
  /** Stores a batch. When it resolves, everything in it is visible in the log and in the replicas. */
  write(batch: EventBatch): Promise<void>
}

/** Tries until ClickHouse takes a batch; a single change it will not take becomes a dead letter. */
export function createChangeWriter(options: {
  warehouse: Warehouse
  readSource: SourceRows
  log: Log
  signal: AbortSignal
}): ChangeWriter {
  const { warehouse, readSource, log, signal } = options
  const untilDone = <Result>(what: string, run: () => Promise<Result>) =>
    retry(what, { signal, log, isPermanent: isValueError }, run)

  /** Halves what is refused until single changes are left (`from` to `to` are events). */
  async function insert(batch: EventBatch, from: number, to: number): Promise<void> {
    const bytes = batch.bytes.subarray(from === 0 ? 0 : batch.ends[from - 1], batch.ends[to - 1])
    try {
      await untilDone('storing changes', () =>
        warehouse.insertLines('cdc.events', bytes, 'RowBinary', eventColumns),
      )
    } catch (error) {
      if (!isValueError(error)) throw error
      if (to - from === 1) {
        batch.deadLetters.push(refusedLetter(batch, from, error))
        return
      }
      const middle = (from + to) >> 1
      await insert(batch, from, middle)
      await insert(batch, middle, to)
    }
  }

  async function expand({ codec, header }: Truncation): Promise<void> {
    await untilDone('truncating a replica', () =>
      truncateReplica(warehouse, codec.replica, {
        version: versionAt(header.position, header.index).toString(),
        lsn: String(header.lsn),
        tx_id: String(header.txId),
        committed_at: header.committedAt.toString(),
      }),
    )
  }

  return {
    async write(batch) {
      if (batch.held) {
        const changes = batch.held
        const { position, index } = changes[0]!.header
        await untilDone('completing changes', () =>
          completeChanges(warehouse, changes, versionAt(position, index), readSource),
        )
        for (const { header, codec, values } of changes) batch.appendJson(header, codec, values)
      }
      if (batch.ends.length > 0) await insert(batch, 0, batch.ends.length)
      for (const truncation of batch.truncations) await expand(truncation)
      if (batch.unapplied.length > 0) {
        await untilDone('storing dead letters', () => keepUnapplied(warehouse, batch.unapplied))
      }
      if (batch.deadLetters.length > 0) {
        log.error(
          {
            tables: [...new Set(batch.deadLetters.map(({ table }) => table))],
            count: batch.deadLetters.length,
          },
          'changes that could not be applied are in cdc.dead_letters',
        )
        await untilDone('storing dead letters', () =>
          warehouse.insertRows('cdc.dead_letters', batch.deadLetters),
        )
      }
    },
  }
}
