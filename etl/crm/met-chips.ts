import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'

const metChips = defineQuery({
  name: 'etl-met-chips',
  sql: `
    SELECT count() > 0 AS met
    FROM (
      SELECT chip_id FROM reports.etl_ownership WHERE chip_id = {chip:String}
      UNION ALL SELECT chip_id FROM reports.etl_unowned WHERE chip_id = {chip:String}
      UNION ALL SELECT chip_id FROM reports.etl_quarantine WHERE chip_id = {chip:String}
    )`,
  params: z.object({ chip: z.string() }),
  row: z.object({ met: z.coerce.boolean() }),
})

/** Whether a run has met the chip: the CRM had it, or it sent something. What is somebody's is of a chip the CRM had. */
export async function hasMetChip(warehouse: Warehouse, chip: string): Promise<boolean> {
  const [row] = await warehouse.query(metChips, { chip })
  return row!.met
}
