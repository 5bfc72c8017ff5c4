import { readFile } from 'node:fs/promises'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { customerDay } from './report.ts'

/** The time zone that a customer's days are cut by. */
export const customerZone = defineQuery({
  name: 'customer-zone',
  sql: await readFile(new URL('customer-zone.sql', import.meta.url), 'utf8'),
  params: customerDay.pick({ user_id: true }),
  row: z.object({ time_zone: z.string() }),
})
