import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const rowsByDay = defineQuery({
  name: 'etl-rows-by-day',
  sql: `
    SELECT toUInt16(day) AS day_number, sum(events) AS rows
    FROM reports.stats_by_day FINAL
    WHERE day >= toDate({from_day:UInt16}) AND day <= toDate({to_day:UInt16})
    GROUP BY day`,
  params: z.object({ from_day: z.int(), to_day: z.int() }),
  row: z.object({ day_number: z.int(), rows: z.coerce.number<string>() }),
})

/** Telemetry rows behind the numbers of each of some days, both included. */
export async function readRowsByDay(
  warehouse: Warehouse,
  { fromDay, toDay }: { fromDay: number; toDay: number },
): Promise<ReadonlyMap<number, number>> {
  const found = await warehouse.query(rowsByDay, { from_day: fromDay, to_day: toDay })
  return new Map(found.map((row) => [row.day_number, row.rows]))
}
