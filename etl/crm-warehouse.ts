import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import { z } from 'zod'
import type { ReadCrm } from './crm.ts'

/**
 * The customer is joined from the left, and the model is not joined at all: a replica may have a prosthesis for a moment
 * in which it has not yet got its customer, and its telemetry must not be lost for that.
 */
const prostheses = defineQuery({
  name: 'etl-prostheses',
  sql: `
    SELECT
      prostheses.id AS "prosthesisId",
      prostheses.customer_id AS "userId",
      prostheses.chip_id AS "chipId",
      prostheses.model_id AS "modelId",
      prostheses.firmware_version AS "firmwareVersion",
      toInt32(prostheses.issued_at) AS "issuedDay",
      toInt32(prostheses.returned_at) AS "returnedDay",
      customers.time_zone AS "timeZone"
    FROM (SELECT * FROM crm.prostheses FINAL) AS prostheses
    LEFT JOIN (SELECT id, time_zone FROM crm.customers FINAL) AS customers ON customers.id = prostheses.customer_id`,
  params: z.object({}),
  row: z.object({
    prosthesisId: z.string(),
    userId: z.string(),
    chipId: z.string(),
    modelId: z.int(),
    firmwareVersion: z.string(),
    issuedDay: z.int(),
    returnedDay: z.int().nullable(),
    timeZone: z.string(),
  }),
})

const models = defineQuery({
  name: 'etl-models',
  sql: `SELECT id FROM crm.prosthesis_models FINAL`,
  params: z.object({}),
  row: z.object({ id: z.int() }),
})

const newestVersion = defineQuery({
  name: 'etl-newest-ownership-change',
  sql: `SELECT toString(max(_version)) AS version FROM crm.prostheses`,
  params: z.object({}),
  row: z.object({ version: z.string() }),
})

/**
 * Reads the replicas, which the change feed keeps. A query sees each table as it is when it begins; what the tables
 * are behind one another by then, as a customer's new zone, differs at the next run, which measures it.
 */
export function createWarehouseCrm(warehouse: Warehouse): ReadCrm {
  return async () => {
    // The version first: what is stored after it may be seen already, and is never claimed to be.
    const [newest] = await warehouse.query(newestVersion, {})
    const [rows, modelRows] = await Promise.all([
      warehouse.query(prostheses, {}),
      warehouse.query(models, {}),
    ])
    return {
      version: newest?.version ?? '0',
      prostheses: rows,
      modelIds: new Set(modelRows.map(({ id }) => id)),
    }
  }
}
