import type { ClientBase } from 'pg'
import { z } from 'zod'
import { rowsOf } from '../source/rows-of.ts'
import type { SourceTable } from '../source/source-catalog.ts'

const publicationRow = z.object({
  oid: z.string(),
  complete: z.boolean(),
  for_all_tables: z.boolean(),
})

const publicationSql = `
SELECT oid::text AS oid, pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot AS complete,
  puballtables AS for_all_tables
FROM pg_publication WHERE pubname = $1`

/** undefined when there is none. */
export async function readPublication(
  client: ClientBase,
  publicationName: string,
): Promise<z.infer<typeof publicationRow> | undefined> {
  const [publication] = await rowsOf(client, publicationRow, publicationSql, [publicationName])
  return publication
}

const membershipRow = z.object({ qualified_name: z.string(), membership: z.string() })

const ofMembers = `
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace`

// A filtered or partial membership is as good as none. One that was taken away, filtered or partial for a while has another
// oid; a publication whose name or options were others for a while has another xmin, whatever they are by now. Neither
// changes when tables come or go, or when the catalog is vacuumed.
const membershipSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name, p.oid || '/' || r.oid || '/' || p.xmin AS membership ${ofMembers}
WHERE p.pubname = $1 AND r.prqual IS NULL AND r.prattrs IS NULL`

const membershipOfAllSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name, p.oid || '/table ' || c.oid || '/' || p.xmin AS membership
FROM pg_publication p, pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1 AND c.oid = ANY($2::oid[])`

/** The tables' places in the publication as it is; a table that is not wholly in it is missing. */
export async function readMemberships(
  client: ClientBase,
  publicationName: string,
  tables: readonly SourceTable[],
): Promise<Map<string, string>> {
  const publication = await readPublication(client, publicationName)
  if (!publication?.complete) return new Map()
  const members = publication.for_all_tables
    ? await rowsOf(client, membershipRow, membershipOfAllSql, [publicationName, tables.map(({ oid }) => oid)])
    : await rowsOf(client, membershipRow, membershipSql, [publicationName])
  return new Map(members.map((member) => [member.qualified_name, member.membership]))
}

const memberName = z.object({ schema: z.string(), name: z.string() })

const membersNamedSql = `
SELECT n.nspname AS schema, c.relname AS name ${ofMembers}
WHERE p.pubname = $1 AND n.nspname || '.' || c.relname = $2`

/** Those of a name as the log has it: at most one, but for tables that were not told apart. */
export const readMembersNamed = (client: ClientBase, publicationName: string, qualifiedName: string) =>
  rowsOf(client, memberName, membersNamedSql, [publicationName, qualifiedName])

const partialMembersSql = `
SELECT n.nspname || '.' || c.relname AS qualified_name ${ofMembers}
WHERE p.pubname = $1 AND (r.prqual IS NOT NULL OR r.prattrs IS NOT NULL)`

/** Tables that are in it with a filter or a list of columns. */
export async function readPartialMembers(client: ClientBase, publicationName: string): Promise<Set<string>> {
  const row = z.object({ qualified_name: z.string() })
  const members = await rowsOf(client, row, partialMembersSql, [publicationName])
  return new Set(members.map(({ qualified_name }) => qualified_name))
}
