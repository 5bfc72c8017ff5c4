import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import pg from 'pg'
import { cdcErrors } from '../errors.ts'
import {
  type PublishedGenerated,
  publishGeneratedSql,
  readPublishedGenerated,
} from '../source/generated-columns.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import {
  readMemberships,
  readMembersNamed,
  readPartialMembers,
  readPublication,
} from './publication-members.ts'
import { addMemberSql, dropMemberSql, makePublicationSql, notAdded, notMade } from './publication-sql.ts'

const insufficientPrivilege = '42501'
/** feature_not_supported, invalid_parameter_value, wrong_object_type, invalid_column_reference, invalid_object_definition */
const notTaken = ['0A000', '22023', '42809', '42P10', '42P17']

const isForbidden = (error: unknown) =>
  error instanceof pg.DatabaseError && error.code === insufficientPrivilege

/**
 * Has the publication hold generated columns, where that can be had: PostgreSQL offers it, and the user may. It stays the
 * same publication, and tables get another place in it: what passes without the option lacks them.
 */
export async function publishGenerated(
  client: ClientBase,
  publicationName: string,
): Promise<PublishedGenerated> {
  const published = await readPublishedGenerated(client, publicationName)
  if (published.areStored || !published.isOffered) return published
  try {
    await client.query(publishGeneratedSql(publicationName))
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
 *   the one its snapshot was taken under, changes may have passed unpublished; and why each other one has none
 */
export async function applyPublication(
  client: ClientBase,
  published: PublishedGenerated,
  tables: readonly SourceTable[],
): Promise<{ memberships: Map<string, string>; refused: Map<string, TendonError> }> {
  const { publicationName } = published
  const publication = await readPublication(client, publicationName)
  if (!publication?.complete) await makePublication(client, published, tables, publication !== undefined)
  const refused = publication?.complete ? await addMembers(client, publicationName, tables) : new Map()
  return { memberships: await readMemberships(client, publicationName, tables), refused }
}

/** Made anew, and not altered, so that its identity tells of the gap. */
async function makePublication(
  client: ClientBase,
  published: PublishedGenerated,
  tables: readonly SourceTable[],
  isThere: boolean,
): Promise<void> {
  const statement = makePublicationSql(published, tables, isThere)
  try {
    await client.query(statement)
  } catch (cause) {
    throw isForbidden(cause) ? notMade(statement, cause) : cause
  }
}

/** @returns why tables could not be made members: the others go on. */
async function addMembers(
  client: ClientBase,
  publicationName: string,
  tables: readonly SourceTable[],
): Promise<Map<string, TendonError>> {
  const refused = new Map<string, TendonError>()
  const members = await readMemberships(client, publicationName, tables)
  const partial = await readPartialMembers(client, publicationName)
  for (const table of tables.filter(({ qualifiedName }) => !members.has(qualifiedName))) {
    const statement = addMemberSql(publicationName, table, partial)
    try {
      await client.query(statement)
    } catch (cause) {
      if (!isRefusal(cause)) throw cause
      refused.set(table.qualifiedName, notAdded(table, statement, cause))
    }
  }
  return refused
}

/** The user may not, or PostgreSQL does not take the table. */
const isRefusal = (error: unknown): error is pg.DatabaseError =>
  error instanceof pg.DatabaseError && [insufficientPrivilege, ...notTaken].includes(error.code ?? '')

/** A table that is not in the publication, or not in the database any more, is out of it. */
export async function removeFromPublication(
  client: ClientBase,
  publicationName: string,
  qualifiedName: string,
): Promise<void> {
  for (const member of await readMembersNamed(client, publicationName, qualifiedName)) {
    const statement = dropMemberSql(publicationName, member)
    try {
      await client.query(statement)
    } catch (cause) {
      if (!isForbidden(cause)) throw cause
      throw cdcErrors.publicationRefused(`The user may not. The publication's owner can: ${statement}`, {
        cause,
      })
    }
  }
}
