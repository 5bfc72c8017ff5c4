import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type pg from 'pg'
import { z } from 'zod'
import { rowsOf } from './source-catalog.ts'

const slotRow = z.object({
  active: z.boolean(),
  wal_status: z.string().nullable(),
  confirmed_lsn: z.string().nullable(),
  behind_bytes: z.coerce.number().nullable(),
})

const slotSql = `
SELECT active, wal_status, confirmed_flush_lsn::text AS confirmed_lsn,
  pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) AS behind_bytes
FROM pg_replication_slots WHERE slot_name = $1`

const position = defineQuery({
  name: 'cdc-status-position',
  sql: `SELECT toString(version) AS version, committed_at, stored_at FROM cdc.positions FINAL WHERE feed = {feed:String}`,
  params: z.object({ feed: z.string() }),
  row: z.object({ version: z.string(), committed_at: z.iso.datetime(), stored_at: z.iso.datetime() }),
})

const tables = defineQuery({
  name: 'cdc-status-tables',
  sql: `
    SELECT s.table AS table, s.finished_at AS snapshot_at, toUInt32(ifNull(d.letters, 0)) AS dead_letters
    FROM (SELECT * FROM cdc.snapshots FINAL WHERE membership != '') AS s
    LEFT JOIN (SELECT table, count() AS letters FROM cdc.dead_letters FINAL GROUP BY table) AS d USING (table)
    ORDER BY table`,
  params: z.object({}),
  row: z.object({ table: z.string(), snapshot_at: z.iso.datetime(), dead_letters: z.int() }),
})

export type FeedReport = {
  slot: z.infer<typeof slotRow> | null
  position: z.infer<typeof position.row> | null
  tables: z.infer<typeof tables.row>[]
}

/** How a feed is doing, from outside: its slot at the source, and what it left in the warehouse. */
export async function readFeedReport(
  source: pg.Client,
  warehouse: Warehouse,
  slotName: string,
): Promise<FeedReport> {
  const [slot] = await rowsOf(source, slotRow, slotSql, [slotName])
  const [stored] = await warehouse.query(position, { feed: slotName })
  return { slot: slot ?? null, position: stored ?? null, tables: await warehouse.query(tables, {}) }
}

/** The same for people. */
export function describeFeedReport({ slot, position: stored, tables: replicas }: FeedReport): string {
  const lines = [
    slot
      ? `slot      ${slot.active ? 'streaming' : 'nobody reads it'}, WAL ${slot.wal_status ?? 'unknown'}, ${slot.behind_bytes ?? 0} bytes behind`
      : 'slot      there is none: the feed has never run',
    stored
      ? `position  ${stored.version}, committed ${stored.committed_at}, stored ${stored.stored_at}`
      : 'position  none yet',
    ...replicas.map(
      ({ table, snapshot_at, dead_letters }) =>
        `table     ${table}, read whole ${snapshot_at}, ${dead_letters} dead letters`,
    ),
  ]
  return `${lines.join('\n')}\n`
}
