import { readFile } from 'node:fs/promises'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { customerDay, type ReadWarehouse, type ReportDays } from '../declarations/report.ts'

const daysQuery = defineQuery({
  name: 'customer-data/days',
  sql: await readFile(new URL('days.sql', import.meta.url), 'utf8'),
  params: customerDay.pick({ user_id: true }),
  row: z.object({ from: z.iso.date(), to: z.iso.date() }),
})

/** For which days there are numbers of the customer's prostheses; undefined while there are none. */
export async function readDays(
  read: ReadWarehouse,
  { user_id }: { user_id: string },
): Promise<ReportDays | undefined> {
  const [days] = await read(daysQuery, { user_id })
  return days
}
