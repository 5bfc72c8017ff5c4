import { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type pg from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { rowsOf } from '../source/rows-of.ts'
import { waitForPosition } from '../source/source-position.ts'

type FeedParts = { source: pg.Client; warehouse: Warehouse; slotName: string }

/** By Kafka an idle feed stores its position every two seconds, some moments after Debezium has confirmed it. */
const longestWaitMs = 6_000

/**
 * How late replicas are at most: 0 where everything below `walEnd` can be read, now or, while changes flow, in some moments. By Kafka
 * heartbeats stand in the WAL behind every position, so that where it ends by then says nothing.
 * @param newest.walEnd where the WAL ended when it was asked
 * @param newest.committedAt when the newest change that can be read was committed
 */
export async function readLateness(
  parts: FeedParts,
  newest: { walEnd: bigint; isFlowing: boolean; committedAt: string },
): Promise<number> {
  if (newest.isFlowing && (await isReached(parts, newest.walEnd))) return 0
  return secondsSince(parts.source, newest.committedAt)
}

async function isReached({ source, warehouse, slotName }: FeedParts, lsn: bigint): Promise<boolean> {
  try {
    await waitForPosition(source, warehouse, slotName, lsn, longestWaitMs)
    return true
  } catch (error) {
    if (error instanceof TendonError && error.code === cdcErrors.notCaughtUp.code) return false
    throw error
  }
}

/** By the source's clock. */
async function secondsSince(source: pg.Client, time: string): Promise<number> {
  const row = z.object({ seconds: z.coerce.number() })
  const sql = 'SELECT greatest(extract(epoch FROM clock_timestamp() - $1::timestamptz), 0) AS seconds'
  const [since] = await rowsOf(source, row, sql, [time])
  return since!.seconds
}
