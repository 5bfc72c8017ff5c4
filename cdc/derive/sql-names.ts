import pg from 'pg'

/** `schema.table` of PostgreSQL, quoted. */
export function pgTableName(table: { schema: string; name: string }): string {
  return `${pg.escapeIdentifier(table.schema)}.${pg.escapeIdentifier(table.name)}`
}

/** The rows that are the table's own: what inherits from it is published as a table of its own. */
export function pgRowsOf(table: { schema: string; name: string; isPartitioned: boolean }): string {
  return table.isPartitioned ? pgTableName(table) : `ONLY ${pgTableName(table)}`
}

/** An identifier of ClickHouse, quoted whatever it holds. */
export function chIdentifier(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``
}

/** A string literal of ClickHouse. For names that DDL cannot take as a bind; values are always bound. */
export function chLiteral(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
