import type { TendonError } from '@tendon/platform/errors.ts'
import pg from 'pg'
import { cdcErrors } from '../errors.ts'
import type { PublishedGenerated } from '../source/generated-columns.ts'
import type { SourceTable } from '../source/source-catalog.ts'
import { pgTableName } from './sql-names.ts'

const whatIsPublished = `publish = 'insert, update, delete, truncate', publish_via_partition_root = true`

// Statements that are sent at once are one transaction.

export function makePublicationSql(
  published: PublishedGenerated,
  tables: readonly SourceTable[],
  isThere: boolean,
): string {
  const list = tables.map(pgTableName).join(', ')
  const options = published.areStored
    ? `${whatIsPublished}, publish_generated_columns = stored`
    : whatIsPublished
  const name = pg.escapeIdentifier(published.publicationName)
  const create = `CREATE PUBLICATION ${name} FOR TABLE ${list} WITH (${options})`
  return isThere ? `DROP PUBLICATION ${name}; ${create}` : create
}

/** A membership with a filter or a list of columns is in the way. */
export function addMemberSql(
  publicationName: string,
  table: SourceTable,
  partial: ReadonlySet<string>,
): string {
  const add = `ALTER PUBLICATION ${pg.escapeIdentifier(publicationName)} ADD TABLE ${pgTableName(table)}`
  return partial.has(table.qualifiedName) ? `${dropMemberSql(publicationName, table)}; ${add}` : add
}

export const dropMemberSql = (publicationName: string, table: { schema: string; name: string }) =>
  `ALTER PUBLICATION ${pg.escapeIdentifier(publicationName)} DROP TABLE ${pgTableName(table)}`

export const notMade = (statement: string, cause?: unknown): TendonError =>
  cdcErrors.publicationRefused(`The user may not make the publication. Its owner can: ${statement}`, {
    cause,
  })

/** @param refusal PostgreSQL's own words, once it was asked */
export const notAdded = ({ qualifiedName }: SourceTable, statement: string, refusal?: Error): TendonError =>
  cdcErrors.publicationRefused(
    `${qualifiedName} is not in the publication: ${refusal?.message ?? 'the user may not add it'}. The owner of both can: ${statement}`,
    { cause: refusal },
  )
