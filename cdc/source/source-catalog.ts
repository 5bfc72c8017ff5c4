import type { TendonError } from '@tendon/platform/errors.ts'
import type { ClientBase } from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import type { RegistryEntry } from '../registry.ts'
import { type BaseType, readTypes, type Types } from './base-types.ts'
import {
  identityProblem,
  isPublished,
  type PublishedGenerated,
  readPublishedGenerated,
  whyLeftOut,
} from './generated-columns.ts'
import { refuseOverlaps } from './overlapping-tables.ts'
import { partsSql } from './partitions.ts'
import { rowsOf } from './rows-of.ts'
import { qualified, splitsOf } from './table-names.ts'

export type SourceColumn = {
  name: string
  /** attnum: a column that was dropped and made again has another. */
  number: number
  /** As in pgoutput's Relation message. */
  typeOid: number
  type: BaseType
  notNull: boolean
  /** Of a generated column, what tells its expression from another: PostgreSQL rewrites the table for one, and its WAL says nothing. */
  expression?: string | undefined
}

/** A table as the source's own catalog describes it. */
export type SourceTable = {
  entry: RegistryEntry
  /** `schema.table`, as in `cdc.events` */
  qualifiedName: string
  /** pg_class.oid: a table that was dropped and made again has another. */
  oid: number
  schema: string
  name: string
  isPartitioned: boolean
  /** Names of the key columns in key order. */
  key: string[]
  /** In the table's order, without those that are not carried. */
  columns: SourceColumn[]
  /** Names of the columns that are not carried: left out by the registry, or generated and not published. */
  omitted: string[]
  /** Of each of the latter that the registry does not name: why, and what to do. */
  leftOut: string[]
  /** Of its publication. */
  published: PublishedGenerated
  /** What an UPDATE or a DELETE carries of the row before: its key, all of it, or the columns of another index. */
  replicaIdentity: 'default' | 'full' | 'index'
  /** Whether PostgreSQL would still take UPDATEs under REPLICA IDENTITY FULL. */
  canBeFull: boolean
  /** Domains among the types of the columns and their elements, with the name of the type below. */
  domains: [name: string, base: string][]
}

const tableRow = z.object({
  qualified_name: z.string(),
  oid: z.coerce.number(),
  kind: z.string(),
  schema: z.string(),
  name: z.string(),
  replica_identity: z.string(),
  key_deferrable: z.boolean(),
  is_publishable: z.boolean(),
  key: z.array(z.string()),
})

// The key is what a DELETE carries: the primary key, or the index of REPLICA IDENTITY USING INDEX. pgoutput's own
// key flags do not do: under REPLICA IDENTITY FULL every column has one.
const tablesSql = `
SELECT
  wanted.schema || '.' || wanted.name AS qualified_name, c.oid, c.relkind AS kind, wanted.schema, wanted.name,
  c.relreplident AS replica_identity,
  EXISTS (
    SELECT FROM pg_index i
    WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate AND c.relreplident <> 'i'
  ) AS key_deferrable,
  pg_relation_is_publishable(c.oid) AND NOT EXISTS (
    SELECT FROM pg_class part WHERE part.oid IN ${partsSql('c.oid')} AND part.relpersistence <> 'p'
  ) AS is_publishable,
  ARRAY(
    SELECT a.attname::text
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = c.oid AND k.place <= i.indnkeyatts
      AND CASE WHEN c.relreplident = 'i' THEN i.indisreplident ELSE i.indisprimary END
    ORDER BY k.place
  ) AS key
FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace n ON n.nspname = wanted.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name AND c.relkind IN ('r', 'p')`

const columnRow = z.object({
  table_oid: z.coerce.number(),
  name: z.string(),
  number: z.int(),
  type_oid: z.coerce.number(),
  not_null: z.boolean(),
  generated: z.enum(['', 's', 'v']),
  expression: z.string().nullable(),
})

/** Since PostgreSQL 18 a NOT NULL may be NOT VALID: rows of before it may still be NULL there. */
const columnsSql = `
SELECT attrelid AS table_oid, attname AS name, attnum AS number, atttypid AS type_oid,
  attnotnull AND NOT EXISTS (
    SELECT FROM pg_constraint
    WHERE conrelid = attrelid AND contype = 'n' AND NOT convalidated AND conkey = ARRAY[attnum]
  ) AS not_null,
  attgenerated AS generated,
  (
    SELECT left(md5(adbin::text), 8) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum AND attgenerated <> ''
  ) AS expression
FROM pg_attribute
WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
ORDER BY attrelid, attnum`

/**
 * Reads the tables of the registry from the catalog.
 * @throws the first reason why one cannot be carried
 */
export async function readSourceTables(
  client: ClientBase,
  publicationName: string,
  entries: readonly RegistryEntry[],
): Promise<SourceTable[]> {
  const { tables, refused } = await lookUpTables(client, publicationName, entries)
  for (const problem of refused.values()) throw problem
  return tables
}

/** Those that can be carried, and by its qualified name why each other one cannot. */
export type LookedUp = { tables: SourceTable[]; refused: Map<string, TendonError> }

export async function lookUpTables(
  client: ClientBase,
  publicationName: string,
  entries: readonly RegistryEntry[],
): Promise<LookedUp> {
  return lookUpTablesUnder(client, await readPublishedGenerated(client, publicationName), entries)
}

/** The same where it is known what the publication holds, or will. */
export async function lookUpTablesUnder(
  client: ClientBase,
  published: PublishedGenerated,
  entries: readonly RegistryEntry[],
): Promise<LookedUp> {
  const tables = await readTableRows(
    client,
    entries.map((entry) => qualified(entry.name)),
  )
  const columns = await rowsOf(client, columnRow, columnsSql, [tables.map(({ oid }) => oid)])
  const types = await readTypes(
    client,
    columns.map((column) => column.type_oid),
  )
  const lookedUp: LookedUp = { tables: [], refused: new Map() }
  for (const entry of entries) {
    const [table, twin] = tables.filter((row) => row.qualified_name === qualified(entry.name))
    const own = columns.filter((column) => column.table_oid === table?.oid)
    const problem = twin ? namedAlike(table!, twin) : problemOf(entry, table, own, published)
    if (problem) lookedUp.refused.set(qualified(entry.name), problem)
    else lookedUp.tables.push(describeTable(entry, table!, own, published, types))
  }
  return refuseOverlaps(client, lookedUp)
}

/** The first of the names that the source has a table of. */
export async function findTable(client: ClientBase, names: readonly string[]): Promise<string | undefined> {
  const found = await readTableRows(client, names)
  return names.find((name) => found.some((row) => row.qualified_name === name))
}

/** All that may be meant: two tables may have one name. */
function readTableRows(client: ClientBase, qualifiedNames: readonly string[]): Promise<TableRow[]> {
  const splits = qualifiedNames.flatMap(splitsOf)
  return rowsOf(client, tableRow, tablesSql, [
    splits.map(({ schema }) => schema),
    splits.map(({ name }) => name),
  ])
}

type TableRow = z.infer<typeof tableRow>
type ColumnRow = z.infer<typeof columnRow>

/** The log, Debezium and its topics would have one name for both. */
const namedAlike = (table: TableRow, twin: TableRow): TendonError =>
  cdcErrors.tablesOverlap(
    `"${table.schema}"."${table.name}" and "${twin.schema}"."${twin.name}" are both ${table.qualified_name} in the log.`,
  )

/** Why a table cannot be carried. */
function problemOf(
  entry: RegistryEntry,
  table: TableRow | undefined,
  columns: ColumnRow[],
  published: PublishedGenerated,
): TendonError | undefined {
  if (!table) return cdcErrors.tableMissing(`There is no table ${entry.name}.`)
  const { key } = table
  if (!table.is_publishable)
    return cdcErrors.tableNotPublishable(
      `${entry.name} or a partition of it is UNLOGGED, or is a system table.`,
    )
  if (key.length === 0 || table.replica_identity === 'n')
    return cdcErrors.tableWithoutKey(`${entry.name} has no key to tell its rows apart by.`)
  if (table.key_deferrable) return cdcErrors.keyDeferrable(`The primary key of ${entry.name} is DEFERRABLE.`)
  const omitted = key.find((name) => entry.omitColumns?.includes(name))
  if (omitted !== undefined)
    return cdcErrors.columnNotSupported(`${entry.name}.${omitted} is of the key, and cannot be left out.`)
  return identityProblem(
    { name: entry.name, key, isFull: table.replica_identity === 'f' },
    columns,
    published,
  )
}

function describeTable(
  entry: RegistryEntry,
  table: TableRow,
  own: ColumnRow[],
  published: PublishedGenerated,
  types: Types,
): SourceTable {
  const named = own.filter(({ name }) => !entry.omitColumns?.includes(name))
  const kept = named.filter((column) => isPublished(column, published))
  return {
    entry,
    qualifiedName: table.qualified_name,
    oid: table.oid,
    isPartitioned: table.kind === 'p',
    schema: table.schema,
    name: table.name,
    key: table.key,
    columns: kept.map((column) => ({
      name: column.name,
      number: column.number,
      typeOid: column.type_oid,
      type: types.baseOf(column.type_oid),
      notNull: column.not_null,
      ...(column.expression !== null && { expression: column.expression }),
    })),
    omitted: own.filter((column) => !kept.includes(column)).map(({ name }) => name),
    leftOut: named
      .filter((column) => !kept.includes(column))
      .map((column) => whyLeftOut(table.qualified_name, column, published)),
    published,
    replicaIdentity: replicaIdentities[table.replica_identity] ?? 'default',
    canBeFull: !identityProblem({ name: entry.name, key: [], isFull: true }, own, published),
    domains: types.domainsOf(kept.map((column) => column.type_oid)),
  }
}

const replicaIdentities: Record<string, SourceTable['replicaIdentity']> = {
  d: 'default',
  f: 'full',
  i: 'index',
}

/** How many rows a table has, as the planner believes: -1 when it was never analyzed. */
export async function estimateRows(client: ClientBase, oid: number): Promise<number> {
  const row = z.object({ rows: z.coerce.number() })
  const [estimate] = await rowsOf(client, row, 'SELECT reltuples AS rows FROM pg_class WHERE oid = $1', [oid])
  return estimate!.rows
}
