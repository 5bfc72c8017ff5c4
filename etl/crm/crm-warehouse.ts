import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { CrmProsthesis, ReadCrm } from './crm.ts'
import { findInMotion, replicatedProsthesis, takeBack, waitForFeed } from './crm-in-motion.ts'

const prostheses = defineQuery({
  name: 'etl-prostheses',
  sql: `
    SELECT
      id,
      customer_id AS "userId",
      chip_id AS "chipId",
      model_id AS "modelId",
      firmware_version AS "firmwareVersion",
      toInt32(issued_at) AS "issuedDay",
      toInt32(returned_at) AS "returnedDay"
    FROM crm.prostheses FINAL`,
  params: z.object({}),
  row: replicatedProsthesis,
})

const customers = defineQuery({
  name: 'etl-customers',
  sql: `SELECT time_zone AS "timeZone", groupArray(id) AS ids FROM crm.customers FINAL GROUP BY time_zone`,
  params: z.object({}),
  row: z.object({ timeZone: z.string(), ids: z.array(z.string()) }),
})

const models = defineQuery({
  name: 'etl-models',
  sql: `SELECT toString(id) AS id FROM crm.prosthesis_models FINAL`,
  params: z.object({}),
  row: z.object({ id: z.string() }),
})

/**
 * Reads the replicas, which the change feed keeps, as they were after one transaction. Neither are the queries one
 * moment of ClickHouse, nor are a transaction's changes of several tables visible at once; but the feed says up to
 * which version all transactions are whole. Rows from there on are taken from the log as they were before.
 *
 * The customer is no condition for a prosthesis, and neither is the model: telemetry must not be lost for that.
 * @param waitForFeedMs how long the feed may take to say that what is visible already is whole
 */
export function createWarehouseCrm(warehouse: Warehouse, { waitForFeedMs = 5_000 } = {}): ReadCrm {
  return async () => {
    // First of all: what is stored after it may be seen already, and is never claimed to be.
    const { version, wholeBefore } = await waitForFeed(warehouse, waitForFeedMs)
    const [prosthesisRows, customerRows, modelRows] = await Promise.all([
      warehouse.query(prostheses, {}),
      warehouse.query(customers, {}),
      warehouse.query(models, {}),
    ])
    const prosthesisById = new Map(prosthesisRows.map((row) => [row.id, row]))
    const zoneById = new Map(customerRows.flatMap(({ timeZone, ids }) => ids.map((id) => [id, timeZone])))
    const modelById = new Map(modelRows.map(({ id }) => [id, Number(id)]))
    // Last of all: whatever in motion was seen above is found.
    const inMotion = wholeBefore && (await findInMotion(warehouse, wholeBefore))
    if (inMotion) {
      takeBack(prosthesisById, inMotion, 'public.prostheses', (before) => before)
      takeBack(zoneById, inMotion, 'public.customers', ({ timeZone }) => timeZone)
      takeBack(modelById, inMotion, 'public.prosthesis_models', ({ id }) => Number(id))
    }
    return {
      version: String(inMotion && inMotion.from <= version ? inMotion.from - 1n : version),
      prostheses: Array.from(
        prosthesisById.values(),
        (row): CrmProsthesis => ({
          prosthesisId: row.id,
          userId: row.userId,
          chipId: row.chipId,
          modelId: row.modelId,
          firmwareVersion: row.firmwareVersion,
          issuedDay: row.issuedDay,
          returnedDay: row.returnedDay,
          timeZone: zoneById.get(row.userId) ?? '',
        }),
      ),
      modelIds: new Set(modelById.values()),
    }
  }
}
