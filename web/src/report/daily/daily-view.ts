import {
  type ProsthesisDaily,
  type ProsthesisDay,
  prosthesisDaily,
  prosthesisDailyRow,
} from '@tendon/contracts/prosthesis-daily.ts'
import { reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { z } from 'zod'

/** A prosthesis with its own rows of the report's table. */
export type DailyProsthesis = ProsthesisDaily['prostheses'][number] & {
  /** The report's day; null when the device sent nothing that day. */
  day: ProsthesisDay | null
  /** Oldest first, the report's day included; days without telemetry are absent. */
  last_30_days: ProsthesisDay[]
}

/** The report `prosthesis-daily` as the page shows it: its table by prosthesis. */
export const dailyReport = reportEnvelope
  .extend({ data: prosthesisDaily, rows: z.array(prosthesisDailyRow) })
  .transform(({ data, rows, ...envelope }) => ({
    ...envelope,
    data: {
      customer: data.customer,
      prostheses: data.prostheses.map((prosthesis): DailyProsthesis => {
        const own = rows
          .filter((row) => row.prosthesis_id === prosthesis.prosthesis_id)
          .map(({ prosthesis_id: _, ...day }) => day)
        return { ...prosthesis, day: own.find(({ day }) => day === envelope.date) ?? null, last_30_days: own }
      }),
    },
  }))
export type DailyReport = z.infer<typeof dailyReport>
