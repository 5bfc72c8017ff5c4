import type { TendonError } from '@tendon/platform/errors.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import { cdcErrors } from '../errors.ts'
import { readFinishedSnapshots } from '../whole-tables/snapshot-record.ts'
import { type ReplicaTable, replicaTableName } from './derive-table.ts'
import { deriveViews, isViewOf } from './derive-view.ts'

const derivedNames = defineQuery({
  name: 'derived-names',
  sql: `
    SELECT groupArrayIf(name, database = 'crm') AS tables,
      groupArrayIf(name, database = 'cdc' AND engine = 'MaterializedView') AS views
    FROM system.tables WHERE database IN ('crm', 'cdc')`,
  params: z.object({}),
  row: z.object({ tables: z.array(z.string()), views: z.array(z.string()) }),
})

/**
 * Replicas of tables that were read whole of which somebody has dropped something in ClickHouse: why, by qualified name.
 * One that waits to be read whole in another shape has no views, and lacks nothing.
 */
export async function readMissing(
  warehouse: Warehouse,
  replicas: readonly ReplicaTable[],
): Promise<Map<string, TendonError>> {
  const finished = await readFinishedSnapshots(warehouse)
  const [names] = await warehouse.query(derivedNames, {})
  const missing = new Map<string, TendonError>()
  for (const replica of replicas) {
    const { qualifiedName } = replica.source
    if (!finished.get(qualifiedName)) continue
    if (!names!.tables.includes(replica.name))
      missing.set(qualifiedName, cdcErrors.replicaMissing(`ClickHouse has no ${replicaTableName(replica)}.`))
    else if (lacksView(replica, names!.views))
      missing.set(
        qualifiedName,
        cdcErrors.replicaMissing(
          `ClickHouse has no view that takes changes to ${replicaTableName(replica)}.`,
        ),
      )
  }
  return missing
}

/** Whether there is none of a kind that there should be, with whatever text. */
export const lacksView = (replica: ReplicaTable, views: readonly string[]): boolean =>
  deriveViews(replica).some(({ purpose }) => !views.some((name) => isViewOf(replica, purpose, name)))
