import { readFileSync } from 'node:fs'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { expect, test } from 'vitest'
import { createRunMetrics } from './run-metrics.ts'

test('what alerts look at for growth is there before it grows', async () => {
  const metrics = createMetrics('etl')
  const runMetrics = createRunMetrics(metrics)
  // Zero only once a run has looked: rows that were there before the process was are not growth.
  expect((await metrics.expose()).body).not.toContain('tendon_etl_quarantine_rows_count{')
  runMetrics.observeQuarantine([{ reason: 'duplicate', rows: 3 }])
  const { body } = await metrics.expose()
  expect(body).toContain('tendon_etl_runs_total{state="failed"} 0')
  expect(body).toContain('tendon_etl_quarantine_rows_count{reason="duplicate"} 3')
  expect(body).toContain('tendon_etl_quarantine_rows_count{reason="no_chip"} 0')
})

test('what stands is shown alike by every instance of the job, and no dashboard or alert adds it up', () => {
  const files = ['dashboards/etl.json', 'alerts/etl.rules.yml']
  const asked = files.map((file) => readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8'))
  // Of counters the rates are added up, and of gauges what is the same in all instances.
  expect(asked.join('\n').match(/sum\s*(?:by \(\w+\) )?\(\s*tendon_\w+/g)).toBe(null)
})
