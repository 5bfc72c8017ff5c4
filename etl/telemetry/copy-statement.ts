import { readFileSync } from 'node:fs'
import pg from 'pg'
import { instantText } from '../time/instants.ts'

/**
 * COPY takes no parameters, and what is put in by `current_setting` is evaluated for each row and keeps the planner from
 * seeing which partitions it needs: a scan by days took 2.6 times the CPU (18 slices of 5 million rows: 3.7 s against
 * 1.4 s). So values go into the text, and this is the only place where they do: as literals, or as other statements
 * of this folder.
 */
export type SqlText = { readonly sql: string }

export const literal = {
  text: (value: string): SqlText => ({ sql: pg.escapeLiteral(value) }),
  instant: (instantUs: number): SqlText => ({
    sql: `timestamptz ${pg.escapeLiteral(instantText(instantUs))}`,
  }),
  texts: (values: readonly string[]): SqlText => ({ sql: pg.escapeLiteral(arrayText(values)) }),
  instants: (values: readonly number[]): SqlText => ({
    sql: pg.escapeLiteral(arrayText(values.map(instantText))),
  }),
}

/** Reads a statement of this folder, in which `{name}` stands for a part. */
export function readStatement<Name extends string>(file: string): (parts: Record<Name, SqlText>) => string {
  const text = readFileSync(new URL(file, import.meta.url), 'utf8').replaceAll(/^\s*--.*\n/gm, '')
  return (parts) => text.replaceAll(/\{(\w+)\}/g, (_, name: Name) => parts[name].sql)
}

/** PostgreSQL's text of an array ("Array Input and Output Syntax"). */
function arrayText(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
}
