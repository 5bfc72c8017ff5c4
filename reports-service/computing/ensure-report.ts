import type { LoadedReport, ReadWarehouse, ReportParameters } from '../declarations/report.ts'
import type { ReportObjects, StoredReport } from '../objects/report-objects.ts'
import { computeReport } from './compute-report.ts'
import type { SingleFlight } from './single-flight.ts'

/** Makes sure that the report of this name exists, and says what is in it. */
export type EnsureReport = (
  name: string,
  report: LoadedReport,
  parameters: ReportParameters,
) => Promise<StoredReport>

/**
 * Computes and stores a report that is not there, once however many ask.
 * @param options.onComputed with the report's name and how long it took; not called when it failed
 */
export function createEnsureReport(options: {
  objects: ReportObjects
  flights: SingleFlight<StoredReport>
  read: ReadWarehouse
  now: () => number
  onComputed: (report: string, seconds: number) => void
}): EnsureReport {
  const { objects, flights, read, now, onComputed } = options

  async function stored(name: string): Promise<StoredReport | undefined> {
    const found = await objects.find(name)
    return found === 'unreadable' ? undefined : found
  }

  return (name, report, parameters) =>
    flights.run(name, {
      find: () => stored(name),
      async compute() {
        const startedAtMs = performance.now()
        const envelope = await computeReport(report, parameters, { read, now })
        onComputed(report.name, (performance.now() - startedAtMs) / 1000)
        return envelope
      },
      publish: async (envelope) => ((await objects.put(name, envelope)) ? envelope : stored(name)),
    })
}
