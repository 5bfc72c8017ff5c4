import { readFile } from 'node:fs/promises'
import {
  type ProsthesisDaily,
  type ProsthesisDay,
  prosthesisDaily,
  prosthesisDay,
} from '@tendon/contracts/report-envelope.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { defineReport, reportParameters } from '../../report.ts'

const sql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')

const customerQuery = defineQuery({
  name: 'prosthesis-daily/customer',
  sql: await sql('customer.sql'),
  params: reportParameters.pick({ user_id: true }),
  row: z.object({ full_name: z.string() }),
})

const prosthesesQuery = defineQuery({
  name: 'prosthesis-daily/prostheses',
  sql: await sql('prostheses.sql'),
  params: reportParameters,
  row: prosthesisDaily.shape.prostheses.element.omit({ day: true, last_30_days: true }),
})

const statisticsQuery = defineQuery({
  name: 'prosthesis-daily/statistics',
  sql: await sql('statistics.sql'),
  params: reportParameters,
  // ClickHouse quotes 64-bit integers; a day's movements stay far below 2^53.
  row: prosthesisDay.extend({ prosthesis_id: z.uuid(), movements: z.coerce.number<string>().int() }),
})

const daysQuery = defineQuery({
  name: 'prosthesis-daily/days',
  sql: await sql('days.sql'),
  params: reportParameters.pick({ user_id: true }),
  row: z.object({ from: z.iso.date(), to: z.iso.date() }),
})

/** A customer's prostheses on one day: what each is, its numbers of the day, and those of the last 30 days. */
export const report = defineReport<ProsthesisDaily>({
  name: 'prosthesis-daily',
  title: 'Your prosthesis, day by day',
  readers: ['patient'],
  units: {
    error_rate: 'errors per event',
    response_time_avg_ms: 'ms',
    response_time_p95_ms: 'ms',
    battery_min_percent: '%',
    battery_avg_percent: '%',
    active_minutes: 'min',
  },
  data: prosthesisDaily,

  async days(read, parameters) {
    const [days] = await read(daysQuery, parameters)
    return days
  },

  async compute(read, parameters) {
    const [[customer], prostheses, statistics] = await Promise.all([
      read(customerQuery, { user_id: parameters.user_id }),
      read(prosthesesQuery, parameters),
      read(statisticsQuery, parameters),
    ])
    if (!customer) return undefined
    const byProsthesis = Map.groupBy(statistics, (row) => row.prosthesis_id)
    return {
      customer,
      prostheses: prostheses.map((prosthesis) => {
        const series = (byProsthesis.get(prosthesis.prosthesis_id) ?? []).map(toDay)
        const day = series.find(({ day }) => day === parameters.date) ?? null
        return { ...prosthesis, day, last_30_days: series }
      }),
    }
  },
})

function toDay({ prosthesis_id: _, ...day }: ProsthesisDay & { prosthesis_id: string }): ProsthesisDay {
  return day
}
