import { appendFileSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { readConfig } from '@tendon/platform/config.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'
import { createEtl } from './etl.ts'
import { etlOptions } from './options.ts'

/**
 * A process that runs the job again and again until it is killed, and notes whom it invalidates in a file: what a
 * scheduler is, in a hurry.
 */
const [telemetry, clickHouse, invalidatedPath] = process.argv.slice(2) as [string, string, string]
const warehouse = createWarehouse(JSON.parse(clickHouse))
const etl = createEtl({
  config: readConfig('etl', etlOptions, { env: { ETL_WORK_MEM: '4MB' } }),
  warehouse,
  telemetry,
  invalidate: async (users) => appendFileSync(invalidatedPath, users.map((user) => `${user}\n`).join('')),
  log: createLog({ service: 'etl', level: 'fatal' }),
  metrics: createMetrics('etl'),
})
// Who is killed leaves nothing to the next, unless it was written before: half of what it takes to start.
flushCompileCache()
for (;;) {
  const outcome = await etl.runOnce().then(
    ({ state }) => state,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  process.stdout.write(`${outcome}\n`)
  // Asking without a pause took a core, and the run that it waits for took longer for it.
  if (outcome === 'skipped') await delay(50)
}
