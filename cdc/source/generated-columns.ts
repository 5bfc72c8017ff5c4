import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import pg from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { rowsOf } from './rows-of.ts'

/**
 * Whether STORED generated columns are in what is published. PostgreSQL has publications that hold them from 18 on (CREATE
 * PUBLICATION, publish_generated_columns); VIRTUAL ones never are.
 */
export type PublishedGenerated = {
  publicationName: string
  /** Publications can. */
  isOffered: boolean
  /** This one does, or will once it is made. */
  areStored: boolean
}

const publishedRow = z.object({ is_offered: z.boolean(), are_stored: z.boolean() })

/** The column of before 18 is missed in the row as JSON, and not in the statement. */
const publishedSql = `
SELECT server.is_offered,
  server.is_offered AND coalesce((SELECT to_jsonb(p) ->> 'pubgencols' = 's' FROM pg_publication p WHERE pubname = $1), true)
    AS are_stored
FROM (SELECT current_setting('server_version_num')::integer >= 180000 AS is_offered) AS server`

export async function readPublishedGenerated(
  client: ClientBase,
  publicationName: string,
): Promise<PublishedGenerated> {
  const [row] = await rowsOf(client, publishedRow, publishedSql, [publicationName])
  return { publicationName, isOffered: row!.is_offered, areStored: row!.are_stored }
}

/** As pg_attribute.attgenerated has it. */
export type Generated = '' | 's' | 'v'

type Column = { name: string; generated: Generated }

export function isPublished({ generated }: Column, published: PublishedGenerated): boolean {
  return generated === '' || (generated === 's' && published.areStored)
}

/** What is said of a column that is left out and that nobody asked to leave out. */
export function whyLeftOut(table: string, column: Column, published: PublishedGenerated): string {
  const why = whyUnpublished(column, published)
  return `${table}.${column.name} is generated, and not carried: ${why}. Once it is left out by name (omit), this is not said any more.`
}

function whyUnpublished({ generated }: Column, { isOffered, publicationName }: PublishedGenerated): string {
  if (generated === 'v') return 'it is VIRTUAL, and PostgreSQL publishes STORED ones alone'
  if (!isOffered) return 'PostgreSQL publishes generated columns from 18 on'
  return `the publication is without them, and its owner can: ${publishGeneratedSql(publicationName)}`
}

export const publishGeneratedSql = (publicationName: string) =>
  `ALTER PUBLICATION ${pg.escapeIdentifier(publicationName)} SET (publish_generated_columns = stored)`

/**
 * What tells a row's former version may not have a column that is not published. PostgreSQL 18 then refuses every UPDATE and
 * DELETE of a published table ("Replica identity must not contain unpublished generated columns"): the CRM's own.
 */
export function identityProblem(
  table: { name: string; key: readonly string[]; isFull: boolean },
  columns: readonly Column[],
  published: PublishedGenerated,
): TendonError | undefined {
  const missing = columns.filter((column) => !isPublished(column, published))
  const ofKey = missing.find(({ name }) => table.key.includes(name))
  const found = ofKey ?? (table.isFull && published.isOffered ? missing[0] : undefined)
  if (!found) return undefined
  const identity = ofKey ? 'key' : 'REPLICA IDENTITY FULL'
  const why = whyUnpublished(found, published)
  return cdcErrors.identityNotPublished(
    `The ${identity} of ${table.name} has the generated column ${found.name}: ${why}.`,
  )
}
