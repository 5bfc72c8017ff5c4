import { readFile } from 'node:fs/promises'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { type Customer, customerDay, type ReadWarehouse } from '../declarations/report.ts'

/** Who a report is of, and the time zone that their days are cut by; without a name when there is no such customer. */
export const customerQuery = defineQuery({
  name: 'customer-data/customer',
  sql: await readFile(new URL('customer.sql', import.meta.url), 'utf8'),
  params: customerDay.pick({ user_id: true }),
  row: z.object({ full_name: z.string().nullable(), time_zone: z.string() }),
})

/** Undefined when there is no such customer. */
export async function readCustomer(read: ReadWarehouse, user_id: string): Promise<Customer | undefined> {
  const [found] = await read(customerQuery, { user_id })
  const { full_name, time_zone } = found!
  return full_name === null ? undefined : { full_name, time_zone }
}
