import pg from 'pg'
import { etlErrors } from '../errors.ts'
import type { CrmProsthesis, ReadCrm } from './crm.ts'

const prosthesesSql = `
  SELECT
    prostheses.id AS "prosthesisId",
    prostheses.customer_id AS "userId",
    prostheses.chip_id AS "chipId",
    prostheses.model_id AS "modelId",
    prostheses.firmware_version AS "firmwareVersion",
    prostheses.issued_at - DATE '1970-01-01' AS "issuedDay",
    prostheses.returned_at - DATE '1970-01-01' AS "returnedDay",
    coalesce(customers.time_zone, '') AS "timeZone"
  FROM prostheses
  LEFT JOIN customers ON customers.id = prostheses.customer_id`

/** Reads the CRM's own database, for who runs no change feed; on one snapshot. */
export function createPostgresCrm(url: string): ReadCrm {
  return async () => {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'tendon-etl',
      connectionTimeoutMillis: 10_000,
    })
    // What breaks the connection fails the query under way.
    client.on('error', () => {})
    await client.connect().catch((cause: unknown) => {
      throw etlErrors.crmUnavailable('The CRM database did not accept a connection.', { cause })
    })
    try {
      await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
      const prostheses = await client.query<CrmProsthesis>(prosthesesSql)
      const models = await client.query<{ id: number }>('SELECT id FROM prosthesis_models')
      return {
        version: '0',
        prostheses: prostheses.rows,
        modelIds: new Set(models.rows.map(({ id }) => id)),
      }
    } finally {
      await client.end().catch(() => {})
    }
  }
}
