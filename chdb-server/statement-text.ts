import { type Token, topLevelTokens } from './sql-lexer.ts'
import { sqlLiteral } from './sql-literal.ts'

/** The first keyword of a statement in capitals; '' where it has none. */
export function statementKeyword(sql: string): string {
  const first = topLevelTokens(sql).next().value
  return first?.kind === 'word' ? first.text.toUpperCase() : (first?.text.charAt(0) ?? '')
}

/** True for what the engine can write to a file with INTO OUTFILE, which is how results are streamed. */
export function isSelect(sql: string): boolean {
  return ['SELECT', 'WITH', 'FROM', '('].includes(statementKeyword(sql))
}

type FormatClause = { format: string; start: number; end: number }

/** The FORMAT clause that a SELECT ends with, if it has one. SETTINGS and a semicolon may follow it. */
function formatClause(sql: string): FormatClause | undefined {
  const tokens = [...topLevelTokens(sql)]
  const index = tokens.findLastIndex((token) => isWord(token, 'FORMAT'))
  const name = tokens[index + 1]
  const following = tokens[index + 2]
  if (index < 1 || name?.kind !== 'word') return undefined
  if (following && !isWord(following, 'SETTINGS') && following.text !== ';') return undefined
  return { format: name.text, start: tokens[index]!.start, end: name.end }
}

/** The format of a statement's result: the one it names, or else the one of the request. */
export function resultFormat(sql: string, defaultFormat: string): string {
  return formatClause(sql)?.format ?? defaultFormat
}

/** The SELECT with its result sent to `path`: INTO OUTFILE stands before FORMAT, which stands before SETTINGS. */
export function selectIntoFile(sql: string, path: string, defaultFormat: string): string {
  const clause = formatClause(sql)
  const intoFile = `INTO OUTFILE ${sqlLiteral(path)} TRUNCATE COMPRESSION 'none'`
  if (clause) return `${sql.slice(0, clause.start)}${intoFile} ${sql.slice(clause.start)}`
  // A comment may end the text, hence the line break.
  return `${withoutSemicolon(sql)}\n${intoFile} FORMAT ${defaultFormat}`
}

function withoutSemicolon(sql: string): string {
  const last = [...topLevelTokens(sql)].at(-1)
  return last?.text === ';' ? withoutSemicolon(sql.slice(0, last.start)) : sql
}

/** An INSERT that takes its rows from data in a format. Positions are UTF-16 units of the text. */
export type InsertWithData = {
  /** Ends right before the data. */
  head: string
  format: string
  /** Where FROM INFILE has to stand: before SETTINGS, FORMAT or VALUES. */
  sourceStart: number
  formatStart: number
  /** The `input('structure')` that a SELECT takes the data through. */
  input: { start: number; end: number; structure: string } | undefined
}

/**
 * Reads an INSERT up to its data.
 *
 * @returns undefined for every other statement, and for an INSERT whose rows come from a SELECT or a file.
 */
export function readInsertWithData(sql: string): InsertWithData | undefined {
  if (statementKeyword(sql) !== 'INSERT') return undefined
  let previous: Token | undefined
  let settingsStart: number | undefined
  let takesOtherSource = false
  let input: InsertWithData['input']
  for (const token of topLevelTokens(sql)) {
    const isTableName = isWord(previous, 'INTO') || isWord(previous, 'TABLE') || previous?.text === '.'
    if (isTableName) {
      previous = token
      continue
    }
    if (isWord(token, 'SELECT') || isWord(token, 'WITH') || isWord(token, 'INFILE')) takesOtherSource = true
    if (isWord(token, 'SETTINGS')) settingsStart = token.start
    if (isWord(previous, 'INPUT') && token.kind === 'group') {
      input = { start: previous!.start, end: token.end, structure: token.text.slice(1, -1) }
    }
    const formatStart = isWord(token, 'VALUES')
      ? token.start
      : isWord(previous, 'FORMAT')
        ? previous!.start
        : -1
    if (formatStart >= 0 && (!takesOtherSource || input)) {
      const format = isWord(token, 'VALUES') ? 'Values' : token.text
      const head = sql.slice(0, format === 'Values' ? token.end : endOfFormatLine(sql, token.end))
      return { head, format, formatStart, sourceStart: settingsStart ?? formatStart, input }
    }
    previous = token
  }
  return undefined
}

/** Data starts after the format's name, blanks, a semicolon and one line break (ParserInsertQuery.cpp). */
function endOfFormatLine(sql: string, nameEnd: number): number {
  const separator = /[ \t\f]*;?[ \t\f]*(?:\r?\n)?/y
  separator.lastIndex = nameEnd
  return nameEnd + (separator.exec(sql)?.[0].length ?? 0)
}

/** The INSERT with its data read from `path`. */
export function insertFromFile(insert: InsertWithData, path: string): string {
  const { head, format, formatStart, sourceStart, input } = insert
  if (input) {
    const source = `file(${sqlLiteral(path)}, ${sqlLiteral(format)}, ${input.structure})`
    return head.slice(0, input.start) + source + head.slice(input.end, formatStart)
  }
  const source = `FROM INFILE ${sqlLiteral(path)} COMPRESSION 'none' `
  return `${head.slice(0, sourceStart)}${source}${head.slice(sourceStart, formatStart)}FORMAT ${format}`
}

function isWord(token: Token | undefined, keyword: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === keyword
}
