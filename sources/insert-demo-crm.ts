import type { ClientBase } from 'pg'
import type { DemoCrm, DemoCustomer, DemoProsthesisRow } from './demo-crm.ts'
import type { ProsthesisModel } from './demo-models.ts'

const insertModelsSql = `
  INSERT INTO prosthesis_models
    (id, name, kind, generation, weight_grams, list_price, features, released_on)
  SELECT id, name, kind, generation, weight_grams, list_price, features, released_on
  FROM jsonb_to_recordset($1::jsonb) AS model (
    id integer, name text, kind text, generation smallint, weight_grams numeric, list_price numeric,
    features text[], released_on date
  )`

const insertCustomersSql = `
  INSERT INTO customers
    (id, full_name, email, phone, date_of_birth, address, locale, time_zone, created_at, updated_at)
  SELECT id, full_name, email, phone, date_of_birth, address, locale, time_zone, created_at, created_at
  FROM jsonb_to_recordset($1::jsonb) AS customer (
    id uuid, full_name text, email text, phone text, date_of_birth date, address jsonb, locale text,
    time_zone text, created_at timestamptz
  )`

const insertProsthesesSql = `
  INSERT INTO prostheses
    (id, serial_number, chip_id, customer_id, model_id, side, firmware_version, settings, issued_at, returned_at)
  SELECT id, serial_number, chip_id, customer_id, model_id, side, firmware_version, settings, issued_at, returned_at
  FROM jsonb_to_recordset($1::jsonb) AS prosthesis (
    id uuid, serial_number text, chip_id text, customer_id uuid, model_id integer, side text,
    firmware_version text, settings jsonb, issued_at date, returned_at date
  )`

/** Inserts the whole demo CRM, three statements in all. */
export async function insertDemoCrm(client: ClientBase, crm: DemoCrm): Promise<void> {
  const insert = (sql: string, rows: (ProsthesisModel | DemoCustomer | DemoProsthesisRow)[]) =>
    client.query(sql, [JSON.stringify(rows)])
  await insert(insertModelsSql, crm.models)
  await insert(insertCustomersSql, crm.customers)
  await insert(
    insertProsthesesSql,
    crm.prostheses.map(({ row }) => row),
  )
}
