import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { rowsOf } from './rows-of.ts'
import type { SourceTable } from './source-catalog.ts'

/**
 * As LOCK TABLE asks for it (source-snapshot.ts): a right to some columns does not do. Changes are streamed to whoever may
 * replicate, so that a connector that may not read a table misses the right only with its next snapshot, for all tables.
 */
const unreadableSql = `
WITH readers AS (
  SELECT current_user::text AS name
  UNION SELECT a.usename FROM pg_replication_slots s JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = $2
)
SELECT
  n.nspname || '.' || c.relname AS qualified_name,
  string_agg(r.name, ' and ' ORDER BY r.name) AS users,
  format('GRANT USAGE ON SCHEMA %1$I TO %3$s; GRANT SELECT ON %1$I.%2$I TO %3$s',
    n.nspname, c.relname, string_agg(quote_ident(r.name), ', ' ORDER BY r.name)) AS grants
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN readers r
WHERE c.oid = ANY($1::oid[])
  AND NOT (has_schema_privilege(r.name, n.oid, 'USAGE') AND has_table_privilege(r.name, c.oid, 'SELECT'))
GROUP BY n.nspname, c.relname`

const row = z.object({ qualified_name: z.string(), users: z.string(), grants: z.string() })

/**
 * Tables that the user may not read, by their qualified names. Changes of them come all the same.
 * @param slotName asks for whoever reads this slot at the moment as well
 */
export async function readUnreadable(
  client: ClientBase,
  tables: readonly SourceTable[],
  slotName = '',
): Promise<Map<string, TendonError>> {
  const found = await rowsOf(client, row, unreadableSql, [tables.map(({ oid }) => oid), slotName])
  return new Map(
    found.map(({ qualified_name: name, users, grants }) => [
      name,
      cdcErrors.tableNotReadable(`${users} may not SELECT from ${name}. The owner can: ${grants}`),
    ]),
  )
}
