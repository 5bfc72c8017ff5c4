import { readFile } from 'node:fs/promises'
import type { Freshness } from '@tendon/contracts/freshness.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { FreshnessPart, ReadWarehouse } from '../declarations/report.ts'

const sql = (file: string) => readFile(new URL(file, import.meta.url), 'utf8')

const changeFeed = defineQuery({
  name: 'freshness/change-feed',
  sql: await sql('change-feed.sql'),
  params: z.object({}),
  row: z.object({ position: z.string(), committed_at: z.iso.datetime(), is_delivered: z.int() }),
})
type Change = Pick<z.infer<typeof changeFeed.row>, 'position' | 'committed_at'>

/** A run reads all telemetry as of one moment, shortly after its start; by its end it may miss what came in meanwhile. */
const readingRun = z.object({ run_id: z.uuid(), started_at: z.iso.datetime() })
type ReadingRun = z.infer<typeof readingRun>

const etlRun = defineQuery({
  name: 'freshness/etl-run',
  sql: await sql('etl-run.sql'),
  params: z.object({}),
  row: readingRun.extend({ run_seq: z.string() }),
})

const newestRun = defineQuery({
  name: 'freshness/newest-run',
  sql: await sql('newest-run.sql'),
  params: z.object({}),
  row: z.object({ run_id: z.uuid(), finished_at: z.iso.datetime().nullable() }),
})

const deliveredEtlRun = defineQuery({
  name: 'freshness/delivered-etl-run',
  sql: await sql('delivered-etl-run.sql'),
  params: z.object({ newest: z.string() }),
  row: readingRun,
})

/**
 * How far the warehouse is now. Read before a report's own queries: what they see is then at least as new as
 * this says.
 */
export async function readFreshness(read: ReadWarehouse): Promise<Freshness> {
  const [[change], [newest]] = await Promise.all([read(changeFeed, {}), read(etlRun, {})])
  return freshnessOf(change, newest)
}

/** The newest run or backfill whose numbers are all there; undefined before the first. */
export async function readNewestRun(read: ReadWarehouse): Promise<z.infer<typeof newestRun.row> | undefined> {
  const [newest] = await read(newestRun, {})
  return newest
}

/**
 * How far every user has been told of it, which may be less: users are invalidated after their data have changed.
 * A part of which that cannot be said now is null.
 * @param deliveredRun one of which it is known already, so that its list need not be looked for
 */
export async function readDeliveredFreshness(
  read: ReadWarehouse,
  deliveredRun: string | null,
): Promise<Freshness> {
  const [[change], [newest]] = await Promise.all([read(changeFeed, {}), read(etlRun, {})])
  const isKnown = newest === undefined || newest.run_id === deliveredRun
  const [delivered] = isKnown ? [newest] : await read(deliveredEtlRun, { newest: newest.run_seq })
  return freshnessOf(change?.is_delivered ? change : undefined, delivered)
}

/** Of each part the newer one; of one that is not in `parts`, that of `one`. */
export function newerFreshness(
  one: Freshness,
  other: Freshness,
  parts: readonly FreshnessPart[] = ['cdc', 'etl'],
): Freshness {
  const isNewerChange = BigInt(other.cdc_position ?? 0) > BigInt(one.cdc_position ?? 0)
  const isNewerRun = Date.parse(other.etl_at ?? '') > Date.parse(one.etl_at ?? '1970-01-01')
  const change = parts.includes('cdc') && isNewerChange ? other : one
  const run = parts.includes('etl') && isNewerRun ? other : one
  return {
    cdc_position: change.cdc_position,
    cdc_at: change.cdc_at,
    etl_run: run.etl_run,
    etl_at: run.etl_at,
  }
}

function freshnessOf(change: Change | undefined, run: ReadingRun | undefined): Freshness {
  return {
    cdc_position: change?.position ?? null,
    cdc_at: change?.committed_at ?? null,
    etl_run: run?.run_id ?? null,
    etl_at: run?.started_at ?? null,
  }
}
