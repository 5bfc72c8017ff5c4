/** A token of a SQL text; everything inside a pair of parentheses is one token. Comments are none. */
export type Token = { kind: 'word' | 'quoted' | 'group' | 'symbol'; text: string; start: number; end: number }

// ClickHouse's own lexer is src/Parsers/Lexer.cpp: a quote is escaped by a backslash or by doubling, a heredoc is
// $tag$…$tag$, a comment starts with --, #! or "# ". An unfinished quote or comment reaches to the end.
const IGNORED = /(?:\s+|--[^\n]*|#[ !][^\n]*|\/\*[\s\S]*?(?:\*\/|$))+/y
const QUOTED =
  /'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|`(?:[^`\\]|\\[\s\S]|``)*(?:`|$)|"(?:[^"\\]|\\[\s\S]|"")*(?:"|$)|(\$\w*\$)[\s\S]*?(?:\1|$)/y
const WORD = /\w+/y

/**
 * The tokens of a SQL text outside of parentheses, read lazily, so that the data behind an INSERT is never
 * looked at. It knows just enough to tell keywords from what stands in quotes, comments and subqueries.
 */
export function* topLevelTokens(sql: string): Generator<Token> {
  let depth = 0
  let groupStart = 0
  for (const token of flatTokens(sql)) {
    if (token.text === '(' && depth++ === 0) groupStart = token.start
    if (depth === 0) yield token
    if (token.text === ')' && depth > 0 && --depth === 0) {
      yield { kind: 'group', text: sql.slice(groupStart, token.end), start: groupStart, end: token.end }
    }
  }
}

function* flatTokens(sql: string): Generator<Token> {
  let position = 0
  while (position < sql.length) {
    const ignored = matchAt(IGNORED, sql, position)
    if (ignored) {
      position += ignored.length
      continue
    }
    const token = tokenAt(sql, position)
    yield token
    position = token.end
  }
}

function tokenAt(sql: string, start: number): Token {
  const quoted = matchAt(QUOTED, sql, start)
  if (quoted) return { kind: 'quoted', text: quoted, start, end: start + quoted.length }
  const word = matchAt(WORD, sql, start)
  if (word) return { kind: 'word', text: word, start, end: start + word.length }
  return { kind: 'symbol', text: sql.charAt(start), start, end: start + 1 }
}

function matchAt(pattern: RegExp, sql: string, position: number): string | undefined {
  pattern.lastIndex = position
  return pattern.exec(sql)?.[0]
}
