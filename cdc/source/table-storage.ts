import type { ClientBase } from 'pg'
import { z } from 'zod'
import { partsSql } from './partitions.ts'
import { rowsOf } from './rows-of.ts'
import type { SourceTable } from './source-catalog.ts'

const byId = z.record(z.string(), z.string())

/** Where PostgreSQL keeps a table, what its values are rendered by, and what its changes are told by: of none is a word in the WAL. */
export const tableStorage = z.object({
  isPartitioned: z.boolean(),
  /** The file of the table, or of each partition that holds rows, by oid. */
  files: byId,
  /** Of each carried column, by attnum, the transaction that last changed its definition. */
  columns: byId,
  /** Labels of enums by their oids, and which attributes composite types have, by the oid of their pg_class. */
  types: byId,
  /** What says whose changes the stream tells, and by which key: of each such row of the catalog its `xmin`, and where other reasons change it what it says. */
  definitions: byId.default({}),
})

export type TableStorage = z.infer<typeof tableStorage>

const filesRow = z.object({ table_oid: z.coerce.number(), files: byId, columns: byId, definitions: byId })

/**
 * Rows of the catalog that a GRANT does not write, nor VACUUM or ANALYZE: the row type has the table's name and schema, a partition
 * that was detached has another row in pg_inherits, and a primary key that was dropped is another constraint, which REINDEX
 * CONCURRENTLY does not make it. An index is written when it becomes the replica identity, and for other reasons, which it then shows.
 */
const definitionsSql = `
SELECT 'row type' AS id, xmin::text AS version FROM pg_type WHERE typrelid = wanted.root
UNION ALL
SELECT 'key', oid::text FROM pg_constraint WHERE conrelid = wanted.root AND contype = 'p'
UNION ALL
SELECT 'partition ' || inhrelid, xmin::text FROM pg_inherits WHERE inhrelid = ANY (parts.oids)
UNION ALL
SELECT 'index ' || i.indexrelid, i.xmin || ' ' || md5(to_jsonb(i)::text)
FROM pg_index i WHERE i.indrelid = ANY (parts.oids) AND i.indisunique
UNION ALL
SELECT 'column ' || a.attnum, a.xmin || ' ' || md5((to_jsonb(a) - 'attacl')::text)
FROM pg_attribute a WHERE a.attrelid = wanted.root AND a.attnum > 0 AND NOT a.attisdropped`

const filesSql = `
SELECT
  wanted.root AS table_oid,
  (
    SELECT coalesce(jsonb_object_agg(c.oid, c.relfilenode::text), '{}')
    FROM pg_class c WHERE c.oid = ANY (parts.oids) AND c.relkind <> 'p'
  ) AS files,
  (
    SELECT coalesce(jsonb_object_agg(attnum, xmin::text), '{}')
    FROM pg_attribute WHERE attrelid = wanted.root AND attnum > 0 AND NOT attisdropped
  ) AS columns,
  (
    SELECT coalesce(jsonb_object_agg(id, version), '{}') FROM (${definitionsSql}) AS definitions (id, version)
  ) AS definitions
FROM unnest($1::oid[]) AS wanted (root)
CROSS JOIN LATERAL (SELECT array_agg(oid) AS oids FROM ${partsSql('wanted.root')} AS part) AS parts`

const labelRow = z.object({ table_oid: z.coerce.number(), id: z.string(), label: z.string() })

/** Of arrays, domains and ranges what is in them. */
const labelsSql = `
WITH RECURSIVE used (table_oid, oid) AS (
  SELECT * FROM unnest($1::oid[], $2::oid[])
  UNION
  SELECT used.table_oid, next.oid
  FROM used
  JOIN pg_type t ON t.oid = used.oid
  LEFT JOIN pg_range r ON t.oid IN (r.rngtypid, r.rngmultitypid)
  LEFT JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  CROSS JOIN LATERAL (VALUES (t.typbasetype), (t.typelem), (r.rngsubtype), (a.atttypid)) AS next (oid)
  WHERE next.oid <> 0
)
SELECT used.table_oid, l.oid::text AS id, l.enumlabel::text AS label
FROM used JOIN pg_enum l ON l.enumtypid = used.oid
UNION ALL
SELECT used.table_oid, a.attrelid::text, string_agg(a.attnum::text, ',' ORDER BY a.attnum)
FROM used
JOIN pg_type t ON t.oid = used.oid AND t.typrelid <> 0
JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY used.table_oid, a.attrelid`

/** Oids below are PostgreSQL's own (FirstNormalObjectId): none of its types can be altered. */
const firstOwnOid = 16_384

/** By qualified name. */
export async function readStorages(
  client: ClientBase,
  tables: readonly SourceTable[],
): Promise<Map<string, TableStorage>> {
  const oids = tables.map(({ oid }) => oid)
  const files = new Map(
    (await rowsOf(client, filesRow, filesSql, [oids])).map((row) => [row.table_oid, row] as const),
  )
  const own = tables.flatMap(({ oid, columns }) =>
    columns.filter(({ typeOid }) => typeOid >= firstOwnOid).map(({ typeOid }) => [oid, typeOid] as const),
  )
  const labels =
    own.length === 0
      ? []
      : await rowsOf(client, labelRow, labelsSql, [own.map(([oid]) => oid), own.map(([, type]) => type)])
  return new Map(
    tables.map(({ qualifiedName, oid, isPartitioned, columns }) => {
      const found = files.get(oid)!
      const carried = columns.map(({ number }) => [number, found.columns[number] ?? ''] as const)
      const ofTypes = labels
        .filter((row) => row.table_oid === oid)
        .map(({ id, label }) => [id, label] as const)
      const storage = {
        isPartitioned,
        files: found.files,
        columns: Object.fromEntries(carried),
        types: Object.fromEntries(ofTypes),
        // Of columns the changes themselves tell; but not of those that are left out.
        definitions: omit(found.definitions, new Set(carried.map(([number]) => `column ${number}`))),
      }
      return [qualifiedName, storage]
    }),
  )
}

const omit = (all: Record<string, string>, ids: ReadonlySet<string>) =>
  Object.fromEntries(Object.entries(all).filter(([id]) => !ids.has(id)))

/** Whether one of them is in both, and not the same. */
function someDiffer(before: Record<string, string>, now: Record<string, string>): boolean {
  return Object.entries(now).some(([id, value]) => before[id] !== undefined && before[id] !== value)
}

/** Whether one of them was changed since, and says what it said before. */
function someChangedBack(before: Record<string, string>, now: Record<string, string>): boolean {
  const says = (version: string | undefined) => version?.split(' ')[1]
  return Object.entries(now).some(
    ([id, version]) =>
      before[id] !== undefined && before[id] !== version && says(before[id]) === says(version),
  )
}

/** What may have become of values since. */
export type StorageChange = {
  /** They are others by now, rows are gone and the WAL does not say so, or what it says was told by names or keys of before. */
  isCertain: boolean
  /** Partitions in another file. Each was emptied, or only put elsewhere. */
  moved: string[]
  /** Partitions of which it is to be seen whether they brought rows with them. */
  added: string[]
}

/**
 * ALTER TYPE … USING puts a table into another file, and changes a column's definition. What does only the former (TRUNCATE, which
 * the WAL tells; VACUUM FULL, CLUSTER, SET TABLESPACE), or only the latter (SET DEFAULT, varchar(20) to varchar(40)), changes
 * no value. A label that is added to an enum changes none either.
 */
export function compareStorages(before: TableStorage, now: TableStorage): StorageChange {
  const areOthers =
    someDiffer(before.types, now.types) || someChangedBack(before.definitions, now.definitions)
  if (!now.isPartitioned) {
    const isRewritten = someDiffer(before.files, now.files) && someDiffer(before.columns, now.columns)
    return { isCertain: areOthers || isRewritten, moved: [], added: [] }
  }
  const isPartGone = Object.keys(before.files).some((oid) => now.files[oid] === undefined)
  const parts = Object.entries(now.files)
  return {
    isCertain: areOthers || isPartGone,
    moved: parts.filter(([oid, file]) => (before.files[oid] ?? file) !== file).map(([oid]) => oid),
    added: parts.filter(([oid]) => before.files[oid] === undefined).map(([oid]) => oid),
  }
}

const sizeRow = z.object({ has_rows: z.boolean() })

/** Partitions without a page have brought no row: what came into them since was published. */
export async function haveRows(client: ClientBase, partitions: readonly string[]): Promise<boolean> {
  const [row] = await rowsOf(
    client,
    sizeRow,
    'SELECT coalesce(bool_or(pg_relation_size(part) IS DISTINCT FROM 0), false) AS has_rows FROM unnest($1::oid[]) AS parts (part)',
    [partitions],
  )
  return row!.has_rows
}

const moverRow = z.object({ tx_id: z.string().nullable() })

/** The transaction that put all of these partitions where they are; undefined where it was not one. */
export async function readMover(
  client: ClientBase,
  partitions: readonly string[],
): Promise<string | undefined> {
  const movers = await rowsOf(
    client,
    moverRow,
    'SELECT DISTINCT xmin::text AS tx_id FROM pg_class WHERE oid = ANY ($1::oid[])',
    [partitions],
  )
  return movers.length === 1 ? (movers[0]!.tx_id ?? undefined) : undefined
}
