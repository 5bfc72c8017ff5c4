import type { KeyValue } from '@tendon/platform/key-value.ts'
import type { LoadedReport } from '../declarations/report.ts'
import type { ReportObjects, TableFormat } from '../objects/report-objects.ts'
import { toCsv } from '../table-formats/csv.ts'
import { toParquet } from '../table-formats/parquet.ts'
import { tableColumns } from '../table-formats/table-columns.ts'
import { createSingleFlight } from './single-flight.ts'

export type ReportTables = {
  /**
   * Makes sure that the rows of the report of this name are there in this format. They are made of the report as it
   * is stored, so that all its formats say the same and cost one SELECT.
   * @returns whether they were there already; undefined when the report itself is gone
   */
  ensure(name: string, report: LoadedReport, format: TableFormat): Promise<'hit' | 'miss' | undefined>
  /** Resolves when what is under way now has ended. */
  settled(): Promise<void>
}

const encoders = { csv: toCsv, parquet: toParquet }

/** @param options.waitLimitMs how long to wait for another instance that makes the same */
export function createReportTables(options: {
  objects: ReportObjects
  keyValue: KeyValue
  waitLimitMs: number
}): ReportTables {
  const { objects, keyValue, waitLimitMs } = options
  const flights = createSingleFlight<'made' | 'gone'>({ keyValue, waitLimitMs })

  return {
    async ensure(name, report, format) {
      if (await objects.hasTable(name, format)) return 'hit'
      const outcome = await flights.run(`${name}.${format}`, {
        find: async () => ((await objects.hasTable(name, format)) ? 'made' : undefined),
        compute: () => objects.read(name),
        async publish(envelope) {
          if (!envelope) return 'gone'
          await objects.putTable(name, format, encoders[format](envelope, tableColumns(report.row)))
          return 'made'
        },
      })
      return outcome === 'made' ? 'miss' : undefined
    },
    settled: () => flights.settled(),
  }
}
