import { readFile } from 'node:fs/promises'
import { serviceHistory, serviceHistoryRow } from '@tendon/contracts/service-history.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { customerDay, defineCustomerReport, type ReadWarehouse } from '../../report.ts'
import { changesOf } from './changes-of.ts'

const sql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')

const zoneQuery = defineQuery({
  name: 'service-history/zone',
  sql: await sql('zone.sql'),
  params: customerDay.pick({ user_id: true }),
  row: z.object({ zone: z.string() }),
})

const prosthesesQuery = defineQuery({
  name: 'service-history/prostheses',
  sql: await sql('prostheses.sql'),
  params: customerDay,
  row: serviceHistory.shape.prostheses.element,
})

const changesQuery = defineQuery({
  name: 'service-history/changes',
  sql: await sql('changes.sql'),
  params: customerDay.extend({ zone: z.string(), limit: z.int() }),
  row: z.object({
    key: z.string(),
    op: z.string(),
    deleted: z.int(),
    row: z.string(),
    committed_at: z.iso.datetime(),
  }),
})

const modelsQuery = defineQuery({
  name: 'service-history/models',
  sql: await sql('models.sql'),
  params: z.object({}),
  row: z.object({ id: z.int(), name: z.string() }),
})

const daysQuery = defineQuery({
  name: 'service-history/days',
  sql: await sql('days.sql'),
  params: customerDay.pick({ user_id: true }).extend({ zone: z.string() }),
  row: z.object({ from: z.iso.date(), to: z.iso.date() }),
})

/** A prosthesis is changed some times a year: more than this is a fault at the source, and nobody reads on. */
const limit = 2_000

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
    const [days] = await read(daysQuery, { user_id, zone: await zoneOf(read, user_id) })
    return days
  },

  async compute(read, { user_id, date }) {
    const zone = await zoneOf(read, user_id)
    const [prostheses, newestFirst, models] = await Promise.all([
      read(prosthesesQuery, { user_id, date }),
      read(changesQuery, { user_id, date, zone, limit: limit + 1 }),
      read(modelsQuery, {}),
    ])
    const { rows, isCut } = changesOf(newestFirst.slice(0, limit).reverse(), {
      userId: user_id,
      isCut: newestFirst.length > limit,
      modelNames: new Map(models.map(({ id, name }) => [id, name])),
    })
    return { data: { prostheses, is_cut: isCut }, rows }
  },
})

async function zoneOf(read: ReadWarehouse, user_id: string): Promise<string> {
  const [found] = await read(zoneQuery, { user_id })
  return found!.zone
}
