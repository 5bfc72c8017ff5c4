import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const rowsByDay = defineQuery({
  name: 'etl-rows-by-day',
  sql: `
    SELECT sum(events) AS rows
    FROM reports.user_prosthesis_stats FINAL
    WHERE day >= toDate({from_day:UInt16}) AND day <= toDate({to_day:UInt16})
    GROUP BY day
    ORDER BY day DESC`,
  params: z.object({ from_day: z.int(), to_day: z.int() }),
  row: z.object({ rows: z.coerce.number<string>() }),
})

/** Telemetry rows behind the numbers of some days, both included, the newest day first; empty days are missing. */
export async function readRowsByDay(
  warehouse: Warehouse,
  { fromDay, toDay }: { fromDay: number; toDay: number },
): Promise<number[]> {
  const rows = await warehouse.query(rowsByDay, { from_day: fromDay, to_day: toDay })
  return rows.map((row) => row.rows)
}
