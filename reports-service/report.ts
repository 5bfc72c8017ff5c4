import type { Warehouse } from '@tendon/warehouse/client.ts'
import { z } from 'zod'

/**
 * What a report is asked by. There is nothing else to ask by: these two, the generation and the report's
 * declaration are the object's name, and a parameter that is not in the name would give two answers one name.
 */
export const reportParameters = z.object({ user_id: z.uuid(), date: z.iso.date() })
export type ReportParameters = z.infer<typeof reportParameters>

/** Runs a declared query within the service's limits of time and concurrency. */
export type ReadWarehouse = Warehouse['query']

/** The first and last day for which a user has data. */
type ReportDays = { from: string; to: string }

/** A report as its folder declares it. */
export type Report<Data = unknown> = {
  /** The name of its folder and in its addresses: lower-case letters, digits, hyphens. */
  name: string
  /** For people. */
  title: string
  /** Roles that may read their own; `report-admin` may read everybody's. */
  readers: readonly string[]
  /** Unit of each number in `data`, by field name. */
  units: Record<string, string>
  data: z.ZodType<Data>
  /** Undefined while the user has no data. */
  days(read: ReadWarehouse, parameters: Pick<ReportParameters, 'user_id'>): Promise<ReportDays | undefined>
  /** Undefined when there is no such user. */
  compute(read: ReadWarehouse, parameters: ReportParameters): Promise<Data | undefined>
}

/** A report with the version of its declaration: lower-case letters and digits, another one for another answer. */
export type LoadedReport = Report & { declaration: string }

/** Checks a report's declaration against its types. */
export function defineReport<Data>(report: Report<Data>): Report<Data> {
  return report
}
