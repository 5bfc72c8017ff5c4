import type { ClientBase } from 'pg'
import pg from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import {
  type PublishedGenerated,
  publishGeneratedSql,
  readPublishedGenerated,
} from '../source/generated-columns.ts'
import { rowsOf } from '../source/rows-of.ts'
import type { SourceTable } from '../source/source-catalog.ts'
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

const tableName = z.object({ schema: z.string(), name: z.string() })

const membershipRow = z.object({ qualified_name: z.string(), membership: z.string() })

/** Of `p` and `c`: with generated columns a table has another place than without, for what passes meanwhile lacks them. */
const generatedSql = `CASE WHEN to_jsonb(p) ->> 'pubgencols' = 's'
    AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attgenerated = 's') THEN '/generated' ELSE '' END`

// A filtered or partial membership is as good as none; one that was taken away and given back has another oid.
const membershipSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name, p.oid || '/' || r.oid || ${generatedSql} AS membership
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1 AND r.prqual IS NULL AND r.prattrs IS NULL`

const membershipOfAllSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name, p.oid || '/table ' || c.oid || ${generatedSql} AS membership
FROM pg_publication p, pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1 AND c.oid = ANY($2::oid[])`

const whatIsPublished = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true`
const insufficientPrivilege = '42501'

const isForbidden = (error: unknown) =>
  error instanceof pg.DatabaseError && error.code === insufficientPrivilege

/** Members with generated columns. */
const withGeneratedSql = `
SELECT n.nspname AS schema, c.relname AS name
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1 AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attgenerated = 's')`

/**
 * Has the publication hold generated columns, where that can be had: PostgreSQL offers it, and the user may. It stays the
 * same publication, but tables with such columns get another place in it, also after a while without the option that nobody saw.
 */
export async function publishGenerated(
  client: ClientBase,
  publicationName: string,
): Promise<PublishedGenerated> {
  const published = await readPublishedGenerated(client, publicationName)
  if (published.areStored || !published.isOffered) return published
  const tables = (await rowsOf(client, tableName, withGeneratedSql, [publicationName])).map(pgTableName)
  const quoted = pg.escapeIdentifier(publicationName)
  const anew = `ALTER PUBLICATION ${quoted} DROP TABLE ${tables.join(', ')}; ALTER PUBLICATION ${quoted} ADD TABLE ${tables.join(', ')}`
  try {
    // Statements that are sent at once are one transaction.
    await client.query(`${publishGeneratedSql(publicationName)}${tables.length > 0 ? `; ${anew}` : ''}`)
  } catch (error) {
    if (!isForbidden(error)) throw error
    return published
  }
  return { ...published, areStored: true }
}

/**
 * Makes the publication carry every change of these tables.
 *
 * @returns for each table, by its qualified name, the identity of its place in the publication: when that is not
 *   the one its snapshot was taken under, changes may have passed unpublished
 */
export async function applyPublication(
  client: ClientBase,
  published: PublishedGenerated,
  tables: readonly SourceTable[],
): Promise<Map<string, string>> {
  const { publicationName } = published
  const statement = createPublicationSql(published, tables)
  try {
    await bringPublication(client, publicationName, statement, tables)
  } catch (cause) {
    if (!isForbidden(cause)) throw cause
    throw cdcErrors.publicationRefused(`The user may not make the publication. Its owner can: ${statement}`, {
      cause,
    })
  }
  return readMemberships(client, publicationName, tables)
}

function createPublicationSql(published: PublishedGenerated, tables: readonly SourceTable[]): string {
  const list = tables.map(pgTableName).join(', ')
  const options = published.areStored
    ? `${whatIsPublished}, publish_generated_columns = stored`
    : whatIsPublished
  return `CREATE PUBLICATION ${pg.escapeIdentifier(published.publicationName)} FOR TABLE ${list} WITH (${options})`
}

async function bringPublication(
  client: ClientBase,
  publicationName: string,
  create: string,
  tables: readonly SourceTable[],
): Promise<void> {
  const quoted = pg.escapeIdentifier(publicationName)
  const [publication] = await rowsOf(client, publicationRow, publicationSql, [publicationName])
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
  const members = publication.for_all_tables
    ? await rowsOf(client, membershipRow, membershipOfAllSql, [publicationName, tables.map(({ oid }) => oid)])
    : await rowsOf(client, membershipRow, membershipSql, [publicationName])
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
    const undefinedTable = '42P01'
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
