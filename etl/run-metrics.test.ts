import { readFile } from 'node:fs/promises'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { expect, test } from 'vitest'
import { createRunMetrics } from './run-metrics.ts'

const deploy = new URL('../deploy/', import.meta.url)

test.each(['alerts/etl.rules.yml', 'dashboards/etl.json'])(
  '%s asks for metrics that there are',
  async (file) => {
    const metrics = createMetrics('etl')
    createRunMetrics(metrics)
    const { body } = await metrics.expose()
    const exposed = new Set([...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!))
    const text = await readFile(new URL(file, deploy), 'utf8')
    const asked = [...text.matchAll(/tendon_etl_\w+/g)].map(([name]) => name)
    expect(asked.length).toBeGreaterThan(4)
    const missing = asked.filter(
      (name) => !exposed.has(name) && !exposed.has(name.replace(/_(bucket|sum|count)$/, '')),
    )
    expect(missing).toEqual([])
  },
)

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
