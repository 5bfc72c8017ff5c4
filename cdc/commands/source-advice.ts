import type pg from 'pg'
import { z } from 'zod'
import { partsSql } from '../source/partitions.ts'
import { rowsOf } from '../source/rows-of.ts'
import type { SourceTable } from '../source/source-catalog.ts'

/** @param spareBytes null when there is no limit */
export function slotAdvice(spareBytes: number | null): string[] {
  if (spareBytes !== null) return []
  return [
    'max_slot_wal_keep_size is not set at the source: while the feed is away, WAL is kept until the disk is full.',
  ]
}

const tableOutOfLine = z.object({
  oid: z.coerce.number(),
  columns: z.array(z.string()),
  out_of_line_bytes: z.coerce.number(),
})

// Of a partitioned table the partitions have the values.
const outOfLineSql = `
SELECT
  c.oid,
  ARRAY(
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attstorage <> 'p' ORDER BY attnum
  ) AS columns,
  (
    SELECT sum(pg_relation_size(part.reltoastrelid))
    FROM pg_class part
    WHERE part.reltoastrelid <> 0 AND part.oid IN ${partsSql('c.oid')}
  ) AS out_of_line_bytes
FROM pg_class c
WHERE c.oid = ANY ($1::oid[])`

/** Under the default identity, values out of line that an UPDATE leaves alone have to be looked up in the log. */
export async function identityAdvice(source: pg.Client, tables: SourceTable[]): Promise<string[]> {
  const asked = tables.filter(({ replicaIdentity, canBeFull }) => replicaIdentity !== 'full' && canBeFull)
  const stored = await rowsOf(source, tableOutOfLine, outOfLineSql, [asked.map(({ oid }) => oid)])
  return asked.flatMap(({ oid, qualifiedName, columns }) => {
    const found = stored.find((row) => row.oid === oid)
    const names = columns.map(({ name }) => name).filter((name) => found?.columns.includes(name))
    if (!found?.out_of_line_bytes || names.length === 0) return []
    return [
      `${qualifiedName} keeps ${found.out_of_line_bytes} bytes of large values out of line (of ${names.join(', ')}); ` +
        'if UPDATEs often leave them alone, ALTER TABLE … REPLICA IDENTITY FULL saves the look-ups, for more WAL.',
    ]
  })
}
