import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import type { ClientBase } from 'pg'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { rowsOf } from '../source/rows-of.ts'
import { readNotedStorages } from '../whole-tables/rewritten-tables.ts'

/**
 * RENAME and SET SCHEMA leave a table its oid and the rows of pg_attribute: in another cluster, where something else may have the
 * oid, these are of other transactions. Of a partitioned table the partitions' oids are noted.
 */
const presentNamesSql = `
SELECT DISTINCT wanted.former, n.nspname || '.' || c.relname AS present
FROM unnest($1::text[], $2::oid[], $3::boolean[], $4::jsonb[]) AS wanted (former, part, is_partitioned, columns)
JOIN pg_class c ON c.oid = coalesce(pg_partition_root(wanted.part), wanted.part)
  AND c.relkind = CASE WHEN wanted.is_partitioned THEN 'p' ELSE 'r' END
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE EXISTS (
  SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND wanted.columns ->> a.attnum::text = a.xmin::text
)`

const presentName = z.object({ former: z.string(), present: z.string() })

/** Problems by qualified name, of which those of missing tables say what these are called by now, where that can be known. */
export async function sayRenamed(
  source: ClientBase,
  warehouse: Warehouse,
  problems: ReadonlyMap<string, TendonError>,
): Promise<Map<string, TendonError>> {
  const said = new Map(problems)
  const isMissing = (table: string) => problems.get(table)?.code === cdcErrors.tableMissing.code
  if (![...problems.keys()].some(isMissing)) return said
  const noted = [...(await readNotedStorages(warehouse))].filter(([table]) => isMissing(table))
  const wanted = noted.flatMap(([table, storage]) =>
    Object.keys(storage.files).map((part) => ({ table, part, storage })),
  )
  const found = await rowsOf(source, presentName, presentNamesSql, [
    wanted.map(({ table }) => table),
    wanted.map(({ part }) => part),
    wanted.map(({ storage }) => storage.isPartitioned),
    wanted.map(({ storage }) => JSON.stringify(storage.columns)),
  ])
  for (const { former, present } of found)
    said.set(former, cdcErrors.tableMissing(`There is no table ${former}: it is called ${present} now.`))
  return said
}
