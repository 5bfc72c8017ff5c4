import { setTimeout as delay } from 'node:timers/promises'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const pollIntervalMs = 50

const runningInserts = defineQuery({
  name: 'running-inserts',
  sql: `
    SELECT toUInt32(count()) AS statements FROM system.processes
    WHERE query LIKE '%INSERT INTO cdc.events%' AND query NOT LIKE '%system.processes%'`,
  params: z.object({}),
  row: z.object({ statements: z.int() }),
})

/**
 * What a feed that was killed has sent may still be on its way. It must be there when tombstones are made for what
 * has vanished, or it would come back after them.
 */
export async function otherInsertsEnded(warehouse: Warehouse, signal: AbortSignal): Promise<void> {
  for (;;) {
    const [running] = await warehouse.query(runningInserts, {})
    if (!running?.statements) return
    await delay(pollIntervalMs, undefined, { signal })
  }
}
