import { readFileSync } from 'node:fs'

/**
 * The statements that make the replicas of the CRM's tables, to the letter as the change feed derives them from the
 * registry and the CRM's catalog: for tests of what reads the replicas and has no change feed.
 */
export const crmReplicas: readonly string[] = readFileSync(
  new URL('./crm-replicas.fixture.sql', import.meta.url),
  'utf8',
)
  .split(/;\n/)
  .map((statement) => statement.trim())
  .filter((statement) => statement !== '')
