import { readFile } from 'node:fs/promises'
import type { ClientBase } from 'pg'

/** Creates the CRM's tables where they are missing (crm/schema.sql). May be run again at any time. */
export function applyCrmSchema(client: ClientBase): Promise<void> {
  return runSqlFile(client, new URL('./crm/schema.sql', import.meta.url))
}

/** Creates the telemetry's tables where they are missing (telemetry/schema.sql). May be run again at any time. */
export function applyTelemetrySchema(client: ClientBase): Promise<void> {
  return runSqlFile(client, new URL('./telemetry/schema.sql', import.meta.url))
}

/** The whole file is one simple query, which PostgreSQL runs as one transaction. */
async function runSqlFile(client: ClientBase, file: URL): Promise<void> {
  await client.query(await readFile(file, 'utf8'))
}
