import { readFile } from 'node:fs/promises'
import { prosthesisIdentity } from '@tendon/contracts/prosthesis-daily.ts'
import { serviceHistory } from '@tendon/contracts/service-history.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { customerDay, type ReadWarehouse } from '../declarations/report.ts'

type CustomerDay = z.infer<typeof customerDay>

const query = {
  name: 'customer-data/prostheses',
  sql: await readFile(new URL('prostheses.sql', import.meta.url), 'utf8'),
  params: customerDay.extend({ given_back: z.boolean() }),
}
const ofDay = defineQuery({ ...query, row: prosthesisIdentity })
const upToDay = defineQuery({ ...query, row: serviceHistory.shape.prostheses.element })

/** Those the customer had on the day, by serial number. */
export const readProstheses = (read: ReadWarehouse, day: CustomerDay) =>
  read(ofDay, { ...day, given_back: false })

/** Also those given back before it, and from when until when each was theirs. */
export const readProsthesesUpTo = (read: ReadWarehouse, day: CustomerDay) =>
  read(upToDay, { ...day, given_back: true })
