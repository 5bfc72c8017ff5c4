import type { reportCustomer } from '@tendon/contracts/prosthesis-daily.ts'
import type { TableRow } from '@tendon/contracts/report-envelope.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { z } from 'zod'

/** Binds of the queries of a customer's reports. */
export const customerDay = z.object({ user_id: z.guid(), date: z.iso.date() })

/** What a report is asked by, of which together with its generation and declaration its object's name is made. */
export type ReportParameters = {
  /** Null for a report of everybody. */
  user_id: string | null
  date: string
  /** What the report declares beside these, defaults included. */
  chosen: Record<string, string>
}

export type Customer = z.infer<typeof reportCustomer>

/** Runs a declared query within the service's limits of time and concurrency. */
export type ReadWarehouse = Warehouse['query']

/** The first and last day for which there are data, and which to open on, where that is not the last. */
export type ReportDays = { from: string; to: string; latest?: string }

/** Of how current data are: the change feed's part, `cdc_…`, and the ETL job's, `etl_…`. */
export type FreshnessPart = 'cdc' | 'etl'

/** A report as its folder declares it: a table, and what stands beside it. */
export type Report<
  Data = unknown,
  Row extends TableRow = TableRow,
  Chosen extends Record<string, string> = Record<string, string>,
  UserId extends string | null = string | null,
> = {
  /** The name of its folder and in its addresses: lower-case letters, digits, hyphens. */
  name: string
  /** For people. */
  title: string
  /** Roles that may read it, a customer's only their own; `report-admin` may read everybody's. */
  readers: readonly string[]
  /**
   * What makes it anew. `customer`: it is about one customer, and `POST /invalidate` names them. `etl-run`: it is
   * about everybody, and each ETL run or backfill that succeeded is a new state of all numbers.
   */
  invalidatedBy: 'customer' | 'etl-run'
  /**
   * Parts of the freshness of which every change that it could show gives it a new generation. In these it is as current as
   * all data are, as long as its generation stands; in the others as current as when it was computed.
   */
  generationCovers: readonly FreshnessPart[]
  /** Even what nothing invalidates is computed again after this time. */
  ttlMs: number
  /**
   * What it is asked by beside customer and day: each an enumeration of plain words with a default, since the chosen
   * ones stand in the object's name.
   */
  parameters: z.ZodType<Chosen>
  /** Unit of each number in `data` and `rows`, by field name; of what is only counted `count`. */
  units: Record<string, string>
  data: z.ZodType<Data>
  /** Columns of the table, in their order. */
  row: z.ZodObject & z.ZodType<Row>
  /** Undefined while there are no data. */
  days(read: ReadWarehouse, parameters: { user_id: UserId }): Promise<ReportDays | undefined>
  compute(
    read: ReadWarehouse,
    parameters: {
      user_id: UserId
      /** Null for a report of everybody. */
      customer: UserId extends string ? Customer : null
      date: string
      chosen: Chosen
    },
  ): Promise<{ data: Data; rows: Row[] }>
}

/** A report with the version of its declaration: lower-case letters and digits, another one for another answer. */
export type LoadedReport = Report & { declaration: string }

/** Checks the declaration of a report of one customer against its types. */
export function defineCustomerReport<Data, Row extends TableRow, Chosen extends Record<string, string>>(
  report: Omit<Report<Data, Row, Chosen, string>, 'invalidatedBy'>,
): Report<Data, Row, Chosen, string> {
  return { ...report, invalidatedBy: 'customer' }
}

/** Checks the declaration of a report of everybody against its types. */
export function defineFleetReport<Data, Row extends TableRow, Chosen extends Record<string, string>>(
  report: Omit<Report<Data, Row, Chosen, null>, 'invalidatedBy'>,
): Report<Data, Row, Chosen, null> {
  return { ...report, invalidatedBy: 'etl-run' }
}
