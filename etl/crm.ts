import { readFileSync } from 'node:fs'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { Ownership } from './ownership.ts'

/**
 * How long before the last run began, by the clock here, a change may have been stored, by ClickHouse's clock, and
 * yet not been seen by that run: an insert in flight, and clocks that differ.
 */
const overlapMs = 10_000

const newestChange = defineQuery({
  name: 'etl-newest-ownership-change',
  sql: `SELECT toString(max(version)) AS version FROM cdc.events WHERE table = 'public.prostheses'`,
  params: z.object({}),
  row: z.object({ version: z.string() }),
})

const currentOwnership = defineQuery({
  name: 'etl-ownership',
  sql: `
    SELECT
      id AS "prosthesisId",
      customer_id AS "userId",
      chip_id AS "chipId",
      model_id AS "modelId",
      toInt32(issued_at) AS "issuedDay",
      toInt32(returned_at) AS "returnedDay"
    FROM crm.prostheses FINAL`,
  params: z.object({}),
  row: z.object({
    prosthesisId: z.string(),
    userId: z.string(),
    chipId: z.string(),
    modelId: z.int(),
    issuedDay: z.int(),
    returnedDay: z.int().nullable(),
  }),
})

const reassignedChips = defineQuery({
  name: 'etl-reassigned-chips',
  sql: readFileSync(new URL('./reassigned-chips.sql', import.meta.url), 'utf8'),
  params: z.object({ version: z.string(), since: z.date() }),
  row: z.object({ chipId: z.string() }),
})

export type CrmView = {
  /** Newest change of ownership that had been stored when the view was read, as decimal digits. */
  version: string
  ownership: Ownership[]
  /** Chips whose owner, model or days of ownership may have changed since the last run, former chips included. */
  reassignedChips: string[]
}

/**
 * Reads who had which prosthesis when. The customer and the model are taken by their ids from the prosthesis'
 * own row, whose foreign keys vouch for them: joining their tables would only lose rows for the moment in which
 * a replica has the prosthesis and not yet its customer.
 *
 * The order matters: what is stored after the version is read counts as new for the next run, whether or not
 * this one has seen it, and measuring a chip twice does no harm.
 * @param last the last run that succeeded: the version it read and when it began; undefined for the first run
 */
export async function readCrm(
  warehouse: Warehouse,
  last: { version: string; startedAt: Date } | undefined,
): Promise<CrmView> {
  const [newest] = await warehouse.query(newestChange, {})
  const since = new Date(last ? last.startedAt.getTime() - overlapMs : 0)
  const [ownership, reassigned] = await Promise.all([
    warehouse.query(currentOwnership, {}),
    warehouse.query(reassignedChips, { version: last?.version ?? '0', since }),
  ])
  return {
    version: newest?.version ?? '0',
    ownership,
    reassignedChips: reassigned.map((row) => row.chipId),
  }
}
