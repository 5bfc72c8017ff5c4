import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import { countLetters } from './changes/kept-letters.ts'
import type { Catalog } from './derive/catalog.ts'
import type { FeedMetrics } from './feed-metrics.ts'
import { isAtEnd, parseLsn } from './source/lsn.ts'
import { rowsOf } from './source/rows-of.ts'
import { unreadTables } from './whole-tables/unread-tables.ts'

const slotBehind = z.object({
  is_streaming: z.boolean(),
  wal_end: z.string().transform(parseLsn),
  behind_bytes: z.coerce.number().nullable(),
})
const slotBehindSql = `
SELECT active AS is_streaming, pg_current_wal_lsn()::text AS wal_end,
  pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) AS behind_bytes
FROM pg_replication_slots WHERE slot_name = $1`

const standing = defineQuery({
  name: 'feed-gauges',
  sql: `
    SELECT toUnixTimestamp64Micro(now64(6)) / 1e6 AS now,
      (SELECT groupArray((toString(lsn), toUnixTimestamp64Micro(stored_at) / 1e6))
       FROM cdc.positions FINAL WHERE feed = {feed:String}) AS positions`,
  params: z.object({ feed: z.string() }),
  row: z.object({
    now: z.number(),
    positions: z.array(z.tuple([z.string(), z.number()])),
  }),
})

/** What is measured now and then, by asking both databases. Ends with the signal alone: an unanswered question is no failure. */
export async function keepGauges(options: {
  source: pg.Client
  warehouse: Warehouse
  catalog: Catalog
  slotName: string
  metrics: FeedMetrics
  log: Log
  signal: AbortSignal
  intervalMs?: number
}): Promise<never> {
  const { source, warehouse, catalog, slotName, metrics, log, signal, intervalMs = 10_000 } = options
  let seenLsn: string | undefined
  for (;;) {
    try {
      // Before the WAL's end, which is never behind it then.
      const [stored] = await warehouse.query(standing, { feed: slotName })
      const [slot] = await rowsOf(source, slotBehind, slotBehindSql, [slotName])
      metrics.walBehind(BigInt(Math.max(0, slot?.behind_bytes ?? 0)))
      if (stored) {
        const { now, positions } = stored
        const [lsn, storedAt] = positions[0] ?? []
        // An idle source has nothing that would move it on.
        if (lsn !== undefined && slot?.is_streaming && isAtEnd(BigInt(lsn), slot.wal_end)) {
          metrics.positionMoved(now)
        } else if (storedAt !== undefined && lsn !== seenLsn) {
          // It is also written anew as it was, with a newer change that is visible and nobody has been told of.
          metrics.positionMoved(storedAt)
        }
        seenLsn = lsn
      }
      metrics.deadLetters(await countLetters(warehouse))
      metrics.unreadTables(await unreadTables(warehouse, catalog))
      metrics.catalogProblems(catalog.problems.map(({ code }) => code))
    } catch (err) {
      log.debug({ err }, 'the gauges were not read')
    }
    await delay(intervalMs, undefined, { signal })
  }
}
