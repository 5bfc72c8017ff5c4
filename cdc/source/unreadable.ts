import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { rowsOf } from './rows-of.ts'
import type { SourceTable } from './source-catalog.ts'

/** As LOCK TABLE asks for it (source-snapshot.ts): a right to some columns does not do. */
const unreadableSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY($1::oid[]) AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))`

const row = z.object({ qualified_name: z.string() })

/** Tables that the user may not read, by their qualified names. Changes of them come all the same. */
export async function readUnreadable(
  client: ClientBase,
  tables: readonly SourceTable[],
): Promise<Map<string, TendonError>> {
  const found = await rowsOf(client, row, unreadableSql, [tables.map(({ oid }) => oid)])
  return new Map(
    found.map(({ qualified_name: name }) => [
      name,
      cdcErrors.tableNotReadable(`The user may not SELECT from ${name}.`),
    ]),
  )
}
