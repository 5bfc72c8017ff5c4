import pg from 'pg'
import { cdcErrors } from '../errors.ts'

/**
 * So that values have one text, whatever the server, the database and the user are set to; and that a row which a
 * policy would hide is an error, and not a row that is missing.
 */
export const pinnedSettings = `
SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'hex';
SET extra_float_digits = 1; SET lc_monetary = 'C'; SET xmlbinary = 'base64';
SET row_security = off; SET wal_sender_timeout = '60s';
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0`

export const connectTimeoutMs = 15_000

/** Values are left as the text PostgreSQL sends: a JavaScript number or Date would not hold them all. */
export const rawText: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text }

/**
 * An ordinary connection to the CRM database.
 * @throws TENDON-CDC-001 when it cannot be had
 */
export async function connectSource(crmUrl: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: crmUrl,
    application_name: 'tendon-cdc',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  })
  // A connection that breaks between queries shows in the next one.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(pinnedSettings)
    return client
  } catch (cause) {
    await client.end().catch(() => {})
    throw unavailable(cause)
  }
}

export function unavailable(cause: unknown): Error {
  const reason = cause instanceof pg.DatabaseError ? ` (${cause.code})` : ''
  return cdcErrors.sourceUnavailable(`The CRM database could not be reached${reason}.`, { cause })
}
