import { readdir } from 'node:fs/promises'
import { z } from 'zod'
import { reportsErrors } from './errors.ts'
import type { Report } from './report.ts'

const declaration = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/),
  title: z.string().min(1),
  readers: z.array(z.string()).min(1),
  units: z.record(z.string(), z.string()),
  data: z.instanceof(z.ZodType),
  days: z.function(),
  compute: z.function(),
})

/**
 * Every report declared below a folder: `<folder>/<name>/report.ts` exports `report`.
 * @param folder address that ends in `/`
 * @throws TENDON-REPORTS-013 for a folder that holds no such declaration
 */
export async function loadReports(folder: URL): Promise<ReadonlyMap<string, Report>> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const reports = await Promise.all(names.sort().map((name) => loadReport(folder, name)))
  return new Map(reports.map((report) => [report.name, report]))
}

async function loadReport(folder: URL, name: string): Promise<Report> {
  try {
    const { report } = await import(new URL(`${name}/report.ts`, folder).href)
    declaration.extend({ name: z.literal(name) }).parse(report)
    return report
  } catch (cause) {
    throw reportsErrors.reportDeclarationInvalid(`The report ${name} could not be loaded.`, { cause })
  }
}
