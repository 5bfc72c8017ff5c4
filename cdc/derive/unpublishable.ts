import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import { z } from 'zod'
import type { PublishedGenerated } from '../source/generated-columns.ts'
import { rowsOf } from '../source/rows-of.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import { readMemberships, readPartialMembers, readPublication } from './publication-members.ts'
import { addMemberSql, makePublicationSql, notAdded, notMade } from './publication-sql.ts'

const ownersSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name,
  pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(n.oid, 'USAGE') AS is_ours
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY($1::oid[])`

const ownerRow = z.object({ qualified_name: z.string(), is_ours: z.boolean() })

const mayPublishSql = `
SELECT has_database_privilege(current_database(), 'CREATE') AS may_create,
  (SELECT pg_has_role(pubowner, 'USAGE') FROM pg_publication WHERE pubname = $1) AS is_ours`

const mayPublishRow = z.object({ may_create: z.boolean(), is_ours: z.boolean().nullable() })

/** Tables that are not in the publication and that the user may not add to it: why, and the statement. Nothing is changed. */
export async function readUnpublishable(
  client: ClientBase,
  published: PublishedGenerated,
  tables: readonly SourceTable[],
): Promise<Map<string, TendonError>> {
  const { publicationName } = published
  const publication = await readPublication(client, publicationName)
  const [may] = await rowsOf(client, mayPublishRow, mayPublishSql, [publicationName])
  const owners = await rowsOf(client, ownerRow, ownersSql, [tables.map(({ oid }) => oid)])
  const ours = new Set(owners.filter(({ is_ours }) => is_ours).map(({ qualified_name }) => qualified_name))
  const isOurs = ({ qualifiedName }: SourceTable) => ours.has(qualifiedName)
  if (!publication?.complete) {
    if (may!.may_create && may!.is_ours !== false && tables.every(isOurs)) return new Map()
    const problem = notMade(makePublicationSql(published, tables, publication !== undefined))
    return new Map(tables.map(({ qualifiedName }) => [qualifiedName, problem]))
  }
  const members = await readMemberships(client, publicationName, tables)
  const partial = await readPartialMembers(client, publicationName)
  const refused = tables.filter(
    (table) => !members.has(table.qualifiedName) && !(may!.is_ours && isOurs(table)),
  )
  return new Map(
    refused.map((table) => [
      table.qualifiedName,
      notAdded(table, addMemberSql(publicationName, table, partial)),
    ]),
  )
}
