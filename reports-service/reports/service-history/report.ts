import { readFile } from 'node:fs/promises'
import { serviceHistory, serviceHistoryRow } from '@tendon/contracts/service-history.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { customerQuery } from '../../customer-data/customer-query.ts'
import { readProsthesesUpTo } from '../../customer-data/prostheses-query.ts'
import { customerDay, defineCustomerReport, type ReadWarehouse } from '../../declarations/report.ts'
import { changesOf } from './changes-of.ts'

const sql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')

/** Place in commit order, and the time of the commit, of which the day is the customer's. */
const when = { version: z.string(), committed_at: z.iso.datetime(), day: z.iso.date() }

const changesQuery = defineQuery({
  name: 'service-history/changes',
  sql: await sql('changes.sql'),
  params: customerDay.extend({ zone: z.string(), limit: z.int() }),
  row: z.object({
    key: z.string(),
    op: z.string(),
    deleted: z.int(),
    row: z.string(),
    ...when,
  }),
})

const modelsQuery = defineQuery({
  name: 'service-history/models',
  sql: await sql('models.sql'),
  params: z.object({}),
  row: z.object({ id: z.int(), name: z.string() }),
})

const modelNamesQuery = defineQuery({
  name: 'service-history/model-names',
  sql: await sql('model-names.sql'),
  params: z.object({ zone: z.string() }),
  // ClickHouse quotes the 64 bits of a number in JSON; ids are of 32.
  row: z.object({ model_id: z.coerce.number<string>().int(), name: z.string(), ...when }),
})

/** A prosthesis is changed some times a year: more than this is a fault at the source, and nobody reads on. */
const limit = 2_000

/** ClickHouse's times end in 2299. */
const lastDayOfAll = '2299-12-30'

/** What changed on a customer's prostheses and when, up to a day's end, from the log of the CRM's changes. */
export const report = defineCustomerReport({
  name: 'service-history',
  title: 'Service history of your prosthesis',
  readers: ['patient'],
  generationCovers: ['cdc', 'etl'],
  ttlMs: 24 * 3_600_000,
  parameters: z.strictObject({}),
  units: {},
  data: serviceHistory,
  row: serviceHistoryRow,

  async days(read, { user_id }) {
    const [customer] = await read(customerQuery, { user_id })
    return (await readChanges(read, { user_id, zone: customer!.time_zone, date: lastDayOfAll })).days
  },

  async compute(read, { user_id, customer, date }) {
    const [prostheses, { rows, isCut }] = await Promise.all([
      readProsthesesUpTo(read, { user_id, date }),
      readChanges(read, { user_id, zone: customer.time_zone, date }),
    ])
    const newestFirst = prostheses.toSorted((a, b) => b.issued_at.localeCompare(a.issued_at))
    return { data: { customer, prostheses: newestFirst, is_cut: isCut }, rows }
  },
})

async function readChanges(
  read: ReadWarehouse,
  { user_id, zone, date }: { user_id: string; zone: string; date: string },
) {
  const [newestFirst, models, namings] = await Promise.all([
    read(changesQuery, { user_id, date, zone, limit: limit + 1 }),
    read(modelsQuery, {}),
    read(modelNamesQuery, { zone }),
  ])
  return changesOf(newestFirst.slice(0, limit).reverse(), {
    userId: user_id,
    isCut: newestFirst.length > limit,
    namings,
    lastDay: date,
    modelNames: new Map(models.map(({ id, name }) => [id, name])),
  })
}
