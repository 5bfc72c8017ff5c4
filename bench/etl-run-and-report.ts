import { createEtl } from '@tendon/etl/etl.ts'
import { etlOptions } from '@tendon/etl/options.ts'
import { readConfig } from '@tendon/platform/config.ts'
import { createLog } from '@tendon/platform/log.ts'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { createWarehouse } from '@tendon/warehouse/client.ts'

/** One run of the job in a process of its own, as the peers are measured: prints what it did and what it cost. */
export async function runOnceAndReport(): Promise<void> {
  const { env } = process
  const warehouse = createWarehouse({
    url: env.CLICKHOUSE_URL!,
    username: env.CLICKHOUSE_USER!,
    password: env.CLICKHOUSE_PASSWORD!,
  })
  const etl = createEtl({
    config: readConfig('etl', etlOptions, { env }),
    warehouse,
    telemetry: env.TELEMETRY_DATABASE_URL!,
    invalidate: async () => {},
    log: createLog({ service: 'etl', level: 'fatal' }),
    metrics: createMetrics('etl'),
  })
  const startedAt = performance.now()
  const run = await etl.runOnce()
  await warehouse.close()
  const usage = process.resourceUsage()
  if (run.state === 'skipped') throw new Error('another run was going')
  process.stdout.write(
    `${JSON.stringify({
      rows: run.rows_written,
      seconds: (performance.now() - startedAt) / 1000,
      cpu_seconds: (usage.userCPUTime + usage.systemCPUTime) / 1e6,
      max_rss_mb: usage.maxRSS / 1024,
      steps: run.step_durations_ms,
    })}\n`,
  )
}
