import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { z } from 'zod'
import { cdcErrors } from './errors.ts'
import { parseLsn } from './lsn.ts'
import { rowsOf } from './source-catalog.ts'

/** Where the source's WAL ends now: everything committed so far lies below. */
export async function readWalEnd(client: pg.Client): Promise<bigint> {
  const [row] = await rowsOf(
    client,
    z.object({ lsn: z.string() }),
    'SELECT pg_current_wal_lsn()::text AS lsn',
  )
  return parseLsn(row!.lsn)
}

const confirmedSql = `
SELECT COALESCE(confirmed_flush_lsn >= $2::pg_lsn, false) AS reached, active
FROM pg_replication_slots WHERE slot_name = $1`

const pollIntervalMs = 50

/**
 * Waits for a feed in another process, by what it has confirmed at its slot.
 * @throws TENDON-CDC-014 when it does not get there in time
 */
export async function waitForSlot(
  client: pg.Client,
  slotName: string,
  lsn: string,
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const [slot] = await rowsOf(
      client,
      z.object({ reached: z.boolean(), active: z.boolean() }),
      confirmedSql,
      [slotName, lsn],
    )
    if (slot?.reached) return
    if (performance.now() > deadline) {
      const reason = !slot ? 'has never run' : slot.active ? 'is behind' : 'is not running'
      throw cdcErrors.notCaughtUp(`The feed at slot ${slotName} ${reason}.`)
    }
    await delay(pollIntervalMs)
  }
}
