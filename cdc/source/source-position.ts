import { setTimeout as delay } from 'node:timers/promises'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { z } from 'zod'
import { readPosition } from '../changes/positions.ts'
import { cdcErrors } from '../errors.ts'
import { whatKeepsTelling } from '../telling/telling-notes.ts'
import { parseLsn } from './lsn.ts'
import { readSlot } from './replication-slot.ts'
import { rowsOf } from './rows-of.ts'

/** Where the source's WAL ends now: everything committed so far lies below. */
export async function readWalEnd(client: pg.Client): Promise<bigint> {
  const [row] = await rowsOf(
    client,
    z.object({ lsn: z.string() }),
    'SELECT pg_current_wal_lsn()::text AS lsn',
  )
  return parseLsn(row!.lsn)
}

const pollIntervalMs = 50

/**
 * Waits for a feed in another process, by the position it stores. The slot's own would not do: it is ahead while a
 * snapshot is being taken.
 * @throws TENDON-CDC-014 when it does not get there in time
 */
export async function waitForPosition(
  source: pg.Client,
  warehouse: Warehouse,
  slotName: string,
  lsn: bigint,
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const position = await readPosition(warehouse, slotName)
    if (position && position.lsn >= lsn) return
    if (performance.now() > deadline) {
      const slot = await readSlot(source, slotName)
      const reason = !slot ? 'has never run' : slot.isActive ? 'is behind' : 'is not running'
      const why = await whatKeepsTelling(warehouse, slotName)
      throw cdcErrors.notCaughtUp(`The feed at slot ${slotName} ${reason}.${why}`)
    }
    await delay(pollIntervalMs)
  }
}
