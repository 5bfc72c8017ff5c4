import { readFile } from 'node:fs/promises'
import { prosthesisTrend, prosthesisTrendRow, trendDays } from '@tendon/contracts/prosthesis-trend.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { readDays } from '../../customer-data/days-query.ts'
import { namedRows } from '../../customer-data/named-rows.ts'
import { readProstheses } from '../../customer-data/prostheses-query.ts'
import { customerDay, defineCustomerReport } from '../../declarations/report.ts'

const sql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')

const trendQuery = defineQuery({
  name: 'prosthesis-trend/trend',
  sql: await sql('trend.sql'),
  params: customerDay.extend({ days: z.int() }),
  row: prosthesisTrendRow.omit({ serial_number: true, model: true }),
})

/** How a customer's prostheses did over 30 or 90 days, beside others of their model. */
export const report = defineCustomerReport({
  name: 'prosthesis-trend',
  title: 'Your prosthesis over time',
  readers: ['patient'],
  // The medians are of everybody's telemetry, by the models in the CRM: of neither anything invalidates this customer.
  generationCovers: [],
  ttlMs: 6 * 3_600_000,
  parameters: z.strictObject({ days: trendDays.default('30') }),
  units: {
    error_rate: 'errors per event',
    model_error_rate: 'errors per event',
    response_time_avg_ms: 'ms',
    model_response_time_avg_ms: 'ms',
    battery_avg_percent: '%',
    model_battery_avg_percent: '%',
    active_minutes: 'min',
    model_active_minutes: 'min',
    model_prostheses: 'count',
  },
  data: prosthesisTrend,
  row: prosthesisTrendRow,

  days: readDays,

  async compute(read, { user_id, customer, date, chosen }) {
    const days = Number(chosen.days)
    const [prostheses, rows] = await Promise.all([
      readProstheses(read, { user_id, date }),
      read(trendQuery, { user_id, date, days }),
    ])
    return {
      data: { from: daysBefore(date, days - 1), customer, prostheses },
      rows: namedRows(rows, prostheses),
    }
  },
})

function daysBefore(date: string, days: number): string {
  return new Date(Date.parse(date) - days * 86_400_000).toISOString().slice(0, 10)
}
