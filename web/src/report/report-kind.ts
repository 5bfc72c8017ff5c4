import { fleet, fleetRow } from '@tendon/contracts/fleet.ts'
import { prosthesisTrend, prosthesisTrendRow } from '@tendon/contracts/prosthesis-trend.ts'
import { reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { serviceHistory, serviceHistoryRow } from '@tendon/contracts/service-history.ts'
import { z } from 'zod'
import { dailyReport } from './daily-view.ts'
import type { ShownReport } from './live-report.ts'

/** A report as these pages know it. */
export type ReportKind<Report extends ShownReport> = {
  name: string
  schema: z.ZodType<Report>
  /** Which day is shown when none is asked for: the newest with data, or the one that goes on now. */
  firstDay: 'newest' | 'today'
}

export const dailyKind = { name: 'prosthesis-daily', schema: dailyReport, firstDay: 'newest' } as const

const trendReport = reportEnvelope.extend({ data: prosthesisTrend, rows: z.array(prosthesisTrendRow) })
export type TrendReport = z.infer<typeof trendReport>
export const trendKind = { name: 'prosthesis-trend', schema: trendReport, firstDay: 'newest' } as const

const historyReport = reportEnvelope.extend({ data: serviceHistory, rows: z.array(serviceHistoryRow) })
export type HistoryReport = z.infer<typeof historyReport>
export const historyKind = { name: 'service-history', schema: historyReport, firstDay: 'today' } as const

const fleetReport = reportEnvelope.extend({ data: fleet, rows: z.array(fleetRow) })
export type FleetReport = z.infer<typeof fleetReport>
export const fleetKind = { name: 'fleet', schema: fleetReport, firstDay: 'newest' } as const
