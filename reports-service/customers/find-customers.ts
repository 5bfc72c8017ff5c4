import { readFile } from 'node:fs/promises'
import { type CustomerList, customerList } from '@tendon/contracts/reports-api.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { ReadWarehouse } from '../declarations/report.ts'

/** More than anybody looks through: who finds so many adds a word. */
const most = 20

const findCustomersQuery = defineQuery({
  name: 'find-customers',
  sql: await readFile(new URL('find-customers.sql', import.meta.url), 'utf8'),
  params: z.object({ text: z.string(), limit: z.int() }),
  row: customerList.shape.customers.element,
})

/** Customers by a part of their name or e-mail address, or by an id, a chip or a serial number. */
export async function findCustomers(read: ReadWarehouse, text: string): Promise<CustomerList> {
  const found = await read(findCustomersQuery, { text, limit: most + 1 })
  return { customers: found.slice(0, most), is_cut: found.length > most }
}
