import { readFile } from 'node:fs/promises'
import { prosthesisDaily, prosthesisDailyRow } from '@tendon/contracts/prosthesis-daily.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { readDays } from '../../customer-data/days-query.ts'
import { namedRows } from '../../customer-data/named-rows.ts'
import { readProstheses } from '../../customer-data/prostheses-query.ts'
import { customerDay, defineCustomerReport } from '../../declarations/report.ts'

const sql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')

const statisticsQuery = defineQuery({
  name: 'prosthesis-daily/statistics',
  sql: await sql('statistics.sql'),
  params: customerDay,
  // ClickHouse quotes 64-bit integers; a day's movements stay far below 2^53.
  row: prosthesisDailyRow
    .omit({ serial_number: true, model: true })
    .extend({ movements: z.coerce.number<string>().int() }),
})

/** A customer's prostheses on one day: what each is, and its numbers of that day and the 29 before it. */
export const report = defineCustomerReport({
  name: 'prosthesis-daily',
  title: 'Your prosthesis, day by day',
  readers: ['patient'],
  generationCovers: ['cdc', 'etl'],
  ttlMs: 24 * 3_600_000,
  parameters: z.strictObject({}),
  units: {
    events: 'count',
    errors: 'count',
    error_rate: 'errors per event',
    response_time_avg_ms: 'ms',
    response_time_p95_ms: 'ms',
    battery_min_percent: '%',
    battery_avg_percent: '%',
    active_minutes: 'min',
    movements: 'count',
  },
  data: prosthesisDaily,
  row: prosthesisDailyRow,

  days: readDays,

  async compute(read, { user_id, customer, date }) {
    const [prostheses, rows] = await Promise.all([
      readProstheses(read, { user_id, date }),
      read(statisticsQuery, { user_id, date }),
    ])
    return { data: { customer, prostheses }, rows: namedRows(rows, prostheses) }
  },
})
