import type { ClientBase } from 'pg'
import { z } from 'zod'
import { replicaName } from '../derive/derive-table.ts'
import { cdcErrors } from '../errors.ts'
import { rowsOf } from './rows-of.ts'
import type { LookedUp, SourceTable } from './source-catalog.ts'

const ancestorRow = z.object({ oid: z.coerce.number(), ancestor: z.coerce.number() })

const ancestorsSql = `
SELECT part AS oid, relid::oid AS ancestor
FROM unnest($1::oid[]) AS parts (part), pg_partition_ancestors(part)
WHERE relid <> part`

/**
 * Tables that cannot be carried beside each other: a partition, whose changes are published as its root's
 * (publish_via_partition_root), and a second table that would have the same replica.
 */
export async function refuseOverlaps(client: ClientBase, lookedUp: LookedUp): Promise<LookedUp> {
  if (lookedUp.tables.length < 2) return lookedUp
  const byOid = new Map(lookedUp.tables.map((table) => [table.oid, table]))
  const ancestors = await rowsOf(client, ancestorRow, ancestorsSql, [[...byOid.keys()]])
  const tables: SourceTable[] = []
  const refused = new Map(lookedUp.refused)
  for (const table of lookedUp.tables) {
    const { qualifiedName } = table
    const root = ancestors.find(({ oid, ancestor }) => oid === table.oid && byOid.has(ancestor))
    const twin = tables.find((other) => replicaName(other.qualifiedName) === replicaName(qualifiedName))
    if (root) {
      const rootName = byOid.get(root.ancestor)!.qualifiedName
      refused.set(
        qualifiedName,
        cdcErrors.tablesOverlap(
          `${qualifiedName} is a partition of ${rootName}, which is carried: PostgreSQL publishes its changes as those of ${rootName}.`,
        ),
      )
    } else if (twin) {
      refused.set(
        qualifiedName,
        cdcErrors.tablesOverlap(
          `${qualifiedName} would have the replica crm.\`${replicaName(qualifiedName)}\`, which is that of "${twin.schema}"."${twin.name}".`,
        ),
      )
    } else tables.push(table)
  }
  return { tables, refused }
}
