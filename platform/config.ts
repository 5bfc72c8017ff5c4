import { parseArgs } from 'node:util'
import { z } from 'zod'

/** One line of a service's option table: the only place its name, type, default and help are written. */
export type Option<Type extends z.ZodType = z.ZodType> = {
  /** Environment variable. */
  env: string
  /** Command-line flag without its dashes, for the options that a person types. */
  flag?: string
  /** How the text is read; `booleanOption` makes the flag one without a value. */
  type: Type
  /** Used when neither flag nor variable is set; without it the option is required. */
  default?: z.infer<Type>
  /** Not required, and without a default: the value is `undefined`. */
  optional?: boolean
  help: string
}

export type OptionTable = Record<string, Option>

export type Config<Table extends OptionTable> = {
  [Name in keyof Table]: Table[Name] extends { optional: true }
    ? z.infer<Table[Name]['type']> | undefined
    : z.infer<Table[Name]['type']>
}

/** Everything that is wrong with the configuration, at once. Exit code 64 (sysexits EX_USAGE) by convention. */
export class ConfigError extends Error {
  readonly problems: string[]
  constructor(service: string, problems: string[]) {
    super(
      `${service}: these options are wrong (--help lists them all):\n${problems.map((p) => `  - ${p}`).join('\n')}`,
    )
    this.name = 'ConfigError'
    this.problems = problems
  }
}

export const booleanOption = z.stringbool()
export const portOption = z.coerce.number<string>().int().min(0).max(65_535)
/** With `//`: `localhost:8080` has the scheme `localhost`, as far as the URL standard is concerned. */
const addressLike = (scheme: RegExp, example: string) => {
  const error = `not an address with its scheme, as ${example}`
  return z.url({ abort: true, error }).regex(scheme, error)
}
export const urlOption = addressLike(/^https?:\/\//i, 'http://localhost:8080')
export const databaseUrlOption = addressLike(
  /^postgres(ql)?:\/\//i,
  'postgresql://user:password@localhost:5432/database',
)
export const textOption = z.string().min(1)
export const millisecondsOption = z.coerce.number<string>().int().positive()

/** Gives a table its literal type, so that `readConfig` knows each value's. */
export function defineOptions<const Table extends OptionTable>(table: Table): Table {
  return table
}

/** The same options, none of them required. */
export function optionalOptions<const Table extends OptionTable>(
  table: Table,
): { [Name in keyof Table]: Table[Name] & { optional: true } } {
  const entries = Object.entries(table).map(([name, option]) => [name, { ...option, optional: true }])
  return Object.fromEntries(entries)
}

/**
 * Reads a configuration: flag before environment before default.
 * @param source `argv` without the program's own name; leave it out where flags are not taken
 * @throws ConfigError that lists everything wrong at once
 */
export function readConfig<const Table extends OptionTable>(
  service: string,
  table: Table,
  source: { env: Record<string, string | undefined>; argv?: string[] },
): Config<Table> {
  const problems: string[] = []
  const flags = readFlags(table, source.argv ?? [], problems)
  const nameOf = (option: Option) => (source.argv ? namesOf(option) : option.env)
  const config: Record<string, unknown> = {}
  for (const [name, option] of Object.entries<Option>(table)) {
    const text = (option.flag && flags[option.flag]) ?? source.env[option.env]
    if (text === undefined || text === '') {
      if (option.default === undefined && !option.optional)
        problems.push(`${nameOf(option)} is not set: ${option.help}`)
      config[name] = option.default
      continue
    }
    const parsed = option.type.safeParse(text, { error: inOurWords })
    if (parsed.success) config[name] = parsed.data
    else
      problems.push(
        `${nameOf(option)}: ${parsed.error.issues.map((issue) => issue.message).join(', ')}. ${option.help}`,
      )
  }
  if (problems.length > 0) throw new ConfigError(service, problems)
  return config as Config<Table>
}

/** What is wrong with a value, never the value itself, which may be a secret. A type's own words come before these. */
function inOurWords(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'not a whole number' : 'not a number'
    case 'too_small':
      if (issue.origin === 'string') return 'too short'
      return issue.inclusive ? `less than ${issue.minimum}` : `not more than ${issue.minimum}`
    case 'too_big':
      return `more than ${issue.maximum}`
    case 'invalid_value':
      return `none of ${issue.values.join(', ')}`
    case 'invalid_format':
      return issue.format === 'date' ? 'not a day, as 2026-01-31' : undefined
    default:
      return undefined
  }
}

/**
 * Takes a command's operands, those arguments that are neither a flag nor its value, out of its arguments.
 * @returns them, and the arguments that `readConfig` reads
 */
export function takeOperands(table: OptionTable, argv: string[]): { operands: string[]; flags: string[] } {
  const { tokens } = parseFlags(table, argv)
  const places = new Set(tokens.filter(({ kind }) => kind === 'positional').map(({ index }) => index))
  return {
    operands: argv.filter((_argument, index) => places.has(index)),
    flags: argv.filter((_argument, index) => !places.has(index)),
  }
}

function parseFlags(table: OptionTable, argv: string[]) {
  const declared = Object.values(table).flatMap((option) =>
    option.flag ? [[option.flag, option] as const] : [],
  )
  return parseArgs({
    args: argv,
    options: Object.fromEntries(
      declared.map(([flag, option]) => [
        flag,
        { type: option.type === booleanOption ? 'boolean' : 'string' } as const,
      ]),
    ),
    strict: false,
    allowNegative: true,
    tokens: true,
  })
}

function readFlags(table: OptionTable, argv: string[], problems: string[]): Record<string, string> {
  const declared = Object.values(table).flatMap((option) =>
    option.flag ? [[option.flag, option] as const] : [],
  )
  const { values, tokens } = parseFlags(table, argv)
  const known = new Set(declared.flatMap(([flag]) => [flag, `no-${flag}`]))
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`unexpected argument "${token.value}"`)
    if (token.kind === 'option' && !known.has(token.name)) problems.push(`unknown option ${token.rawName}`)
  }
  const flags: Record<string, string> = {}
  for (const [flag, option] of declared) {
    const value = values[flag]
    if (value === undefined) continue
    // An empty one mostly is a variable of the shell that is not set.
    if ((value === true || value === '') && option.type !== booleanOption)
      problems.push(`--${flag} needs a value: ${option.help}`)
    else flags[flag] = String(value)
  }
  return flags
}

const namesOf = ({ flag, env }: Option) => (flag ? `--${flag}, ${env}` : env)

/** What `--help` prints: a line for each option, with its flag, variable, default and help; those that a person types come first. */
export function helpText(usage: string, table: OptionTable): string {
  const options: Option[] = Object.values(table)
  const typed = options.filter(({ flag }) => flag)
  const rows = [...typed, ...options.filter(({ flag }) => !flag)].map((option) => {
    const standing = option.default === '' ? 'nothing' : option.default
    const fallback =
      standing === undefined ? (option.optional ? '' : ' (required)') : ` (default ${standing})`
    return { names: namesOf(option), text: option.help + fallback }
  })
  const width = Math.max(...rows.map((row) => row.names.length))
  return `Usage: ${usage}\n\n${rows.map((row) => `  ${row.names.padEnd(width)}  ${row.text}`).join('\n')}\n`
}
