import type { Log } from '@tendon/platform/log.ts'
import { applyCrmSchema, applyTelemetrySchema } from '@tendon/sources/apply-schema.ts'
import { inTransaction } from '@tendon/sources/in-transaction.ts'
import { loadDemoData } from '@tendon/sources/load-demo-data.ts'
import type { Databases } from './open-databases.ts'
import type { EmbeddedConfig } from './options.ts'

/**
 * Which databases the demo data goes into: an embedded one unless told otherwise, one from outside only when told.
 * Demo telemetry is of the demo's devices, and makes sense only beside the CRM that has them.
 */
export function wantedDemo(config: EmbeddedConfig): { crm: boolean; telemetry: boolean } {
  const { demoData, crmDatabaseUrl, telemetryDatabaseUrl } = config
  const crm = demoData ?? crmDatabaseUrl === undefined
  return { crm, telemetry: crm && (demoData ?? telemetryDatabaseUrl === undefined) }
}

/**
 * Gives each embedded database its schema, and the demo data to those that want it.
 * @param options.onProgress after each day of telemetry
 * @returns whether the CRM's people are the demo's
 */
export async function prepareSources(
  config: EmbeddedConfig,
  databases: Databases,
  options: { log: Log; onProgress: (progress: { rows: number }) => void; signal: AbortSignal },
): Promise<{ hasDemoPeople: boolean }> {
  const { crmUrl, telemetryUrl } = databases
  const { signal } = options
  if (!config.crmDatabaseUrl) await inTransaction(crmUrl, applyCrmSchema, signal)
  if (!config.telemetryDatabaseUrl) await inTransaction(telemetryUrl, applyTelemetrySchema, signal)
  const wanted = wantedDemo(config)
  if (!wanted.crm) return { hasDemoPeople: false }
  const { crm } = await loadDemoData({
    crmUrl,
    telemetryUrl: wanted.telemetry ? telemetryUrl : undefined,
    today: new Date(),
    volume: { customers: 200, prostheses: 260, days: config.demoDays },
    ...options,
  })
  return { hasDemoPeople: crm !== 'foreign' }
}
