import { setTimeout as delay } from 'node:timers/promises'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { type Position, readPosition, writePosition } from '../changes/positions.ts'
import { cdcErrors } from '../errors.ts'
import { highest } from '../highest.ts'
import { readSlot } from '../source/replication-slot.ts'
import { readWalEnd } from '../source/source-position.ts'
import type { NewestChange } from './batch-handler.ts'
import { createWholeTransactions } from './whole-transactions.ts'

const confirmedIntervalMs = 250

/** How far the feed by Debezium and Kafka is: at the source, in Kafka, and in the warehouse. */
export type FeedPosition = {
  current(): Position
  /**
   * Up to where Debezium has confirmed that everything is in Kafka.
   * @throws TENDON-CDC-004 when the slot is gone, or has lost its WAL
   */
  readConfirmed(): Promise<bigint>
  /** Resolves when everything committed at the source up to an LSN is in Kafka. */
  inKafka(lsn: bigint, signal: AbortSignal): Promise<void>
  /** Takes note that a change can be read, and stores it; when it was committed, only once everything before it can be read too. */
  onVisible(newest: NewestChange): Promise<void>
  /** The initial snapshot can be read whole. */
  onWhole(): Promise<void>
  /** Takes note of where the source is while the newest change can be read: to be called before `readConfirmed`. */
  noteSource(): Promise<void>
  /**
   * Everything below an LSN has been dealt with.
   * @param isDue whether the position is to be stored for that alone
   * @returns whether it was stored
   */
  dealtWith(lsn: bigint, isDue: boolean): Promise<boolean>
}

export function createFeedPosition(options: {
  source: pg.Client
  warehouse: Warehouse
  slotName: string
  stored: Position
  /** The initial snapshot is still to be seen through. */
  isInitial: boolean
}): FeedPosition {
  const { source, warehouse, slotName } = options
  let position = options.stored
  let confirmed = 0n
  let isWhole = !options.isInitial
  /** When the newest of the changes was committed that came while the snapshot was read. */
  let committedMeanwhile: bigint | undefined
  const transactions = createWholeTransactions(() => readWalEnd(source))

  const store = (change: Partial<Position>): Promise<void> => {
    position = { ...position, ...change }
    return writePosition(warehouse, slotName, position)
  }

  async function readConfirmed(): Promise<bigint> {
    const slot = await readSlot(source, slotName)
    if (slot?.isLost) throw cdcErrors.slotLost(`The replication slot ${slotName} has lost its WAL.`)
    // The connector makes it when it begins. It would make another one in its place, and say nothing of the gap.
    if (!slot && confirmed > 0n) throw cdcErrors.slotLost(`The replication slot ${slotName} is gone.`)
    confirmed = slot?.confirmedLsn ?? 0n
    return confirmed
  }

  return {
    current: () => position,
    readConfirmed,
    async inKafka(lsn, signal) {
      while (confirmed < lsn) {
        await readConfirmed()
        if (confirmed < lsn) await delay(confirmedIntervalMs, undefined, { signal })
      }
    },
    async onVisible(newest) {
      if (newest.version <= position.version) return
      if (!isWhole) committedMeanwhile = newest.committedAt
      await store(isWhole ? newest : { version: newest.version })
    },
    async onWhole() {
      isWhole = true
      if (committedMeanwhile !== undefined) await store({ committedAt: committedMeanwhile })
    },
    async noteSource() {
      if (position.version >= position.wholeBefore) await transactions.note(position.version)
    },
    async dealtWith(lsn, isDue) {
      const whole = transactions.wholeBefore(lsn)
      if (whole === undefined && !(isDue && lsn > position.lsn)) return false
      // Another worker may have seen newer changes.
      const stored = await readPosition(warehouse, slotName)
      const isNewer = stored !== undefined && stored.version > position.version
      await store({
        lsn,
        wholeBefore: highest(position.wholeBefore, stored?.wholeBefore, whole),
        ...(isNewer && { version: stored.version, committedAt: stored.committedAt }),
      })
      return true
    },
  }
}
