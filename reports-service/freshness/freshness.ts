import { readFile } from 'node:fs/promises'
import type { Freshness } from '@tendon/contracts/freshness.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { ReadWarehouse } from '../report.ts'

const changeFeed = defineQuery({
  name: 'freshness/change-feed',
  sql: await readFile(new URL('change-feed.sql', import.meta.url), 'utf8'),
  params: z.object({}),
  row: z.object({ position: z.string(), committed_at: z.iso.datetime() }),
})

const etlRun = defineQuery({
  name: 'freshness/etl-run',
  sql: await readFile(new URL('etl-run.sql', import.meta.url), 'utf8'),
  params: z.object({}),
  row: z.object({ run_id: z.uuid(), finished_at: z.iso.datetime().nullable() }),
})

/**
 * How far the warehouse is now. Read before a report's own queries: what they see is then at least as new as
 * this says.
 */
export async function readFreshness(read: ReadWarehouse): Promise<Freshness> {
  const [[change], [run]] = await Promise.all([read(changeFeed, {}), read(etlRun, {})])
  return {
    cdc_position: change?.position ?? null,
    cdc_at: change?.committed_at ?? null,
    etl_run: run?.run_id ?? null,
    etl_at: run?.finished_at ?? null,
  }
}
