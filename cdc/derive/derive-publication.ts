import type { ClientBase } from 'pg'
import pg from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { rowsOf, type SourceTable } from '../source/source-catalog.ts'
import { pgTableName } from './sql-names.ts'

const publicationRow = z.object({
  oid: z.string(),
  complete: z.boolean(),
  for_all_tables: z.boolean(),
})

const publicationSql = `
SELECT oid::text AS oid, pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot AS complete,
  puballtables AS for_all_tables
FROM pg_publication WHERE pubname = $1`

const membershipRow = z.object({ qualified_name: z.string(), membership: z.string() })

// A filtered or partial membership is as good as none; one that was taken away and given back has another oid.
const membershipSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name, p.oid || '/' || r.oid AS membership
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1 AND r.prqual IS NULL AND r.prattrs IS NULL`

const whatIsPublished = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true`

/**
 * Makes the publication carry every change of these tables.
 *
 * @returns for each table, by its qualified name, the identity of its place in the publication: when that is not
 *   the one its snapshot was taken under, changes may have passed unpublished
 */
export async function applyPublication(
  client: ClientBase,
  publicationName: string,
  tables: readonly SourceTable[],
): Promise<Map<string, string>> {
  try {
    await bringPublication(client, publicationName, tables)
  } catch (cause) {
    const insufficientPrivilege = '42501'
    if (!(cause instanceof pg.DatabaseError && cause.code === insufficientPrivilege)) throw cause
    const statement = createPublicationSql(publicationName, tables)
    throw cdcErrors.publicationRefused(`The user may not make the publication. Its owner can: ${statement}`, {
      cause,
    })
  }
  return readMemberships(client, publicationName, tables)
}

function createPublicationSql(publicationName: string, tables: readonly SourceTable[]): string {
  const list = tables.map(pgTableName).join(', ')
  return `CREATE PUBLICATION ${pg.escapeIdentifier(publicationName)} FOR TABLE ${list} WITH (${whatIsPublished})`
}

async function bringPublication(
  client: ClientBase,
  publicationName: string,
  tables: readonly SourceTable[],
): Promise<void> {
  const quoted = pg.escapeIdentifier(publicationName)
  const [publication] = await rowsOf(client, publicationRow, publicationSql, [publicationName])
  const create = createPublicationSql(publicationName, tables)
  // Made anew, and not altered, so that its identity tells of the gap.
  if (!publication?.complete) {
    await client.query(publication ? `BEGIN; DROP PUBLICATION ${quoted}; ${create}; COMMIT` : create)
    return
  }
  const members = await readMemberships(client, publicationName, tables)
  for (const table of tables.filter(({ qualifiedName }) => !members.has(qualifiedName))) {
    // A membership with a filter or a list of columns is in the way.
    await client.query(dropMemberSql(publicationName, table)).catch(ignoreNotMember)
    await client.query(`ALTER PUBLICATION ${quoted} ADD TABLE ${pgTableName(table)}`)
  }
}

/** The tables' places in the publication as it is; a table that is not wholly in it is missing. */
export async function readMemberships(
  client: ClientBase,
  publicationName: string,
  tables: readonly SourceTable[],
): Promise<Map<string, string>> {
  const [publication] = await rowsOf(client, publicationRow, publicationSql, [publicationName])
  if (!publication?.complete) return new Map()
  if (publication.for_all_tables)
    return new Map(tables.map((table) => [table.qualifiedName, `${publication.oid}/table ${table.oid}`]))
  const members = await rowsOf(client, membershipRow, membershipSql, [publicationName])
  return new Map(members.map((member) => [member.qualified_name, member.membership]))
}

/** A table that is not in the publication, or not in the database any more, is out of it. */
export async function removeFromPublication(
  client: ClientBase,
  publicationName: string,
  table: { schema: string; name: string },
): Promise<void> {
  const statement = dropMemberSql(publicationName, table)
  try {
    await client.query(statement)
  } catch (cause) {
    const code = cause instanceof pg.DatabaseError ? cause.code : undefined
    const [undefinedTable, insufficientPrivilege] = ['42P01', '42501']
    if (code === insufficientPrivilege)
      throw cdcErrors.publicationRefused(`The user may not. The publication's owner can: ${statement}`, {
        cause,
      })
    if (code !== undefinedTable) ignoreNotMember(cause)
  }
}

const dropMemberSql = (publicationName: string, table: { schema: string; name: string }) =>
  `ALTER PUBLICATION ${pg.escapeIdentifier(publicationName)} DROP TABLE ${pgTableName(table)}`

function ignoreNotMember(error: unknown): void {
  const undefinedObject = '42704'
  if (!(error instanceof pg.DatabaseError && error.code === undefinedObject)) throw error
}
