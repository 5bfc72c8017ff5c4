import { fleet, fleetRow } from '@tendon/contracts/fleet.ts'
import { prosthesisTrend, prosthesisTrendRow } from '@tendon/contracts/prosthesis-trend.ts'
import { reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { serviceHistory, serviceHistoryRow } from '@tendon/contracts/service-history.ts'
import { z } from 'zod'
import { type DailyReport, dailyReport } from './daily/daily-view.ts'
import type { ShownReport } from './live/live-report.ts'

/** A report as these pages know it. */
export type ReportKind<Report extends ShownReport> = {
  name: string
  schema: z.ZodType<Report>
  /** Which day is shown when none is asked for: the newest with data, or the one that goes on now. */
  firstDay: 'newest' | 'today'
  /** When it is made anew, in words. */
  madeAnew: string
  /** Whether there are numbers of its day, which one could take along. */
  hasNumbers(report: Report): boolean
}

/** Of one customer. */
const withTheCustomer = "as soon as the customer's data change"
const hasRows = ({ rows }: { rows: unknown[] }) => rows.length > 0

export const dailyKind: ReportKind<DailyReport> = {
  name: 'prosthesis-daily',
  schema: dailyReport,
  firstDay: 'newest',
  madeAnew: withTheCustomer,
  hasNumbers: ({ data }) => data.prostheses.some(({ day }) => day !== null),
}

const trendReport = reportEnvelope.extend({ data: prosthesisTrend, rows: z.array(prosthesisTrendRow) })
export type TrendReport = z.infer<typeof trendReport>
export const trendKind: ReportKind<TrendReport> = {
  name: 'prosthesis-trend',
  schema: trendReport,
  firstDay: 'newest',
  madeAnew: withTheCustomer,
  hasNumbers: hasRows,
}

const historyReport = reportEnvelope.extend({ data: serviceHistory, rows: z.array(serviceHistoryRow) })
export type HistoryReport = z.infer<typeof historyReport>
export const historyKind: ReportKind<HistoryReport> = {
  name: 'service-history',
  schema: historyReport,
  firstDay: 'today',
  madeAnew: withTheCustomer,
  hasNumbers: hasRows,
}

const fleetReport = reportEnvelope.extend({ data: fleet, rows: z.array(fleetRow) })
export type FleetReport = z.infer<typeof fleetReport>
export const fleetKind: ReportKind<FleetReport> = {
  name: 'fleet',
  schema: fleetReport,
  firstDay: 'newest',
  madeAnew: 'after each processing of device data, not when a customer record changes',
  hasNumbers: hasRows,
}
