import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { freshness } from '@tendon/contracts/freshness.ts'
import { reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { reasonOf } from '@tendon/platform/reason-of.ts'
import { z } from 'zod'
import { reportsErrors } from './errors.ts'
import { numberFields } from './number-fields.ts'
import type { LoadedReport, Report } from './report.ts'
import { tableColumns } from './table-formats/table-columns.ts'

const declaration = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  title: z.string().min(1),
  readers: z.array(z.string()).min(1),
  invalidatedBy: z.enum(['customer', 'etl-run']),
  generationCovers: z.array(z.enum(['cdc', 'etl'])),
  ttlMs: z.int().positive(),
  parameters: z
    .instanceof(z.ZodObject)
    .refine(isNameable, 'not enumerations of plain words, each with a default, or too many for a name'),
  units: z.record(z.string(), z.string()),
  data: z.instanceof(z.ZodType),
  row: z.instanceof(z.ZodObject).refine(isTable, 'has a column that is no text, number or truth value'),
  days: z.function(),
  compute: z.function(),
})

/** Each number has a unit, and each unit a number: who reads a report knows no more of it than it says. */
const declarationWithUnits = declaration.superRefine(({ units, data, row }, context) => {
  const numbers = new Set([...numberFields(data, 'data'), ...numberFields(row, 'row')])
  const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['units'], message })
  for (const name of numbers) if (!(name in units)) refuse(`${name} has none; of a plain count it is 'count'`)
  for (const name of Object.keys(units)) if (!numbers.has(name)) refuse(`no number is called ${name}`)
})

/** What an address, or a column of a table that tells of the whole, has in another sense. */
const takenNames = new Set(['format', ...Object.keys(reportEnvelope.shape), ...Object.keys(freshness.shape)])

/**
 * With a name of 40, the longest of all else that stands in an object's, the slashes encoded and `.parquet` behind it, that is
 * less than the 255 bytes of a file's name in the CDN.
 */
const choicesMaxLength = 70

/** Chosen values stand in the object's name. */
function isNameable(parameters: z.ZodObject): boolean {
  return (
    parameters.safeParse({}).success &&
    longestChoices(parameters) <= choicesMaxLength &&
    Object.entries(parameters.shape).every(
      ([name, type]) =>
        /^[a-z][a-z0-9_]{0,15}$/.test(name) &&
        !takenNames.has(name) &&
        enumValues(type).every((value) => /^[a-z0-9]{1,16}$/.test(value)),
    )
  )
}

function longestChoices(parameters: z.ZodObject): number {
  const lengths = Object.entries(parameters.shape).map(
    ([name, type]) => `-${name}-`.length + Math.max(...enumValues(type).map((value) => value.length)),
  )
  return lengths.reduce((sum, length) => sum + length, 0)
}

function enumValues(type: unknown): string[] {
  const inner = type instanceof z.ZodDefault ? type.unwrap() : type
  return inner instanceof z.ZodEnum ? inner.options.map(String) : ['not an enumeration']
}

function isTable(row: z.ZodObject): boolean {
  try {
    return tableColumns(row).length > 0
  } catch {
    return false
  }
}

/** What reports are computed and written by beside their own folders: files, and folders with all queries and code in them. */
export const sharedFiles = ['compute-report.ts']
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
  service = new URL('./', import.meta.url),
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
export const loadDeclaredReports = () => loadReports(new URL('./reports/', import.meta.url))

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
    declarationWithUnits.safeExtend({ name: z.literal(name) }).parse(report)
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
