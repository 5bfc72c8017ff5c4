import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { reasonOf } from '@tendon/platform/reason-of.ts'
import { z } from 'zod'
import { reportsErrors } from '../errors.ts'
import type { LoadedReport, Report } from './report.ts'
import { reportDeclaration } from './report-declaration.ts'

/** What reports are computed and written by beside their own folders: files, and folders with all queries and code in them. */
export const sharedFiles = ['computing/compute-report.ts']
export const sharedFolders = ['customer-data/', 'freshness/', 'table-formats/']

// 40 bits: it has to differ from the few declarations that one generation of reports can meet.
const hashLength = 10

/**
 * Every report declared below a folder: `<folder>/<name>/report.ts` exports `report`.
 * @param folder address that ends in `/`
 * @param service address of what reports share
 * @throws TENDON-REPORTS-013 for a folder that holds no such declaration
 */
export async function loadReports(
  folder: URL,
  service = new URL('../', import.meta.url),
): Promise<ReadonlyMap<string, LoadedReport>> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const shared = await Promise.all([
    contentsOf(service, sharedFiles),
    ...sharedFolders.map((name) => sourcesOf(new URL(name, service))),
  ])
  const reports = await Promise.all(names.sort().map((name) => loadReport(folder, name, shared.flat())))
  return new Map(reports.map((report) => [report.name, report]))
}

/** Those of this service. @throws TENDON-REPORTS-013 */
export const loadDeclaredReports = () => loadReports(new URL('../reports/', import.meta.url))

/** Files by their names. */
type Contents = [file: string, text: string][]

const contentsOf = (folder: URL, files: readonly string[]): Promise<Contents> =>
  Promise.all(files.map(async (file) => [file, await readFile(new URL(file, folder), 'utf8')]))

/** A folder's queries and code. */
async function sourcesOf(folder: URL): Promise<Contents> {
  const files = await readdir(folder)
  const sources = files.filter((file) => /\.(sql|ts)$/.test(file) && !file.endsWith('.test.ts'))
  return contentsOf(folder, sources.sort())
}

async function loadReport(folder: URL, name: string, shared: Contents): Promise<LoadedReport> {
  try {
    const { report } = await import(new URL(`${name}/report.ts`, folder).href)
    reportDeclaration.safeExtend({ name: z.literal(name) }).parse(report)
    return { ...report, declaration: await declarationHash(new URL(`${name}/`, folder), report, shared) }
  } catch (cause) {
    const why = reasonOf(cause)
    throw reportsErrors.reportDeclarationInvalid(`The report ${name} could not be loaded: ${why}`, { cause })
  }
}

/**
 * Of the folder's queries and code, of what all reports are made by, and of the shape in which its report is stored,
 * `schema_version` included.
 */
async function declarationHash(folder: URL, report: Report, shared: Contents): Promise<string> {
  const contents = [...(await sourcesOf(folder)), ...shared]
  const shape = z.toJSONSchema(reportEnvelope.extend({ data: report.data, rows: z.array(report.row) }))
  const declared = JSON.stringify([contents, shape])
  return createHash('sha256').update(declared).digest('hex').slice(0, hashLength)
}
