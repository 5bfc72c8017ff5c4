import { freshness } from '@tendon/contracts/freshness.ts'
import { reportEnvelope } from '@tendon/contracts/report-envelope.ts'
import { z } from 'zod'
import { tableColumns } from '../table-formats/table-columns.ts'
import { numberFields } from './number-fields.ts'

const fields = z.object({
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
export const reportDeclaration = fields.superRefine(({ units, data, row }, context) => {
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
