import { readFileSync } from 'node:fs'
import { createMetrics } from '@tendon/platform/metrics.ts'
import { expect, test } from 'vitest'
import { createRunMetrics } from './run-metrics.ts'
import { type EtlRun, numbered } from './run-records.ts'

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

test('says of a run what its record does', async () => {
  const metrics = createMetrics('etl')
  const runMetrics = createRunMetrics(metrics)
  const begun = { run_id: 'r', started_at: '2026-05-04T10:00:00Z', kind: 'run', holder: '' } as const
  const problem = { kind: 'unknown_chip', detail: '' }
  const run: EtlRun = {
    ...numbered(begun, 6),
    state: 'succeeded',
    finished_at: '2026-05-04T10:00:40Z',
    watermark_lag_s: 90,
    rows_in: 7,
    rows_written: 3,
    rows_deleted: 2,
    unknown_chips: ['a', 'b'],
    problems: ['a', 'b'].map((subject) => ({ ...problem, subject })),
    step_durations_ms: { load: 1_500 },
  }
  runMetrics.observeRun(run)
  runMetrics.observeRun({ state: 'skipped' })
  runMetrics.showLast(run)
  runMetrics.observeUndelivered(4)
  const { body } = await metrics.expose()
  for (const line of [
    'runs_total{state="succeeded"} 1',
    'runs_total{state="skipped"} 1',
    'rows_in_total 7',
    'rows_written_total 5',
    'run_duration_seconds_sum 40',
    'run_duration_seconds_count 1',
    'step_duration_seconds_sum{step="load"} 1.5',
    'last_run_duration_seconds 40',
    `last_success_timestamp_seconds ${Date.parse('2026-05-04T10:00:40Z') / 1000}`,
    'watermark_lag_seconds 90',
    'ownerless_chips_count 2',
    'problems_count{kind="unknown_chip"} 2',
    'undelivered_users_count 4',
  ])
    expect(body.split('\n')).toContain(`tendon_etl_${line}`)
})

test('what stands is shown alike by every instance of the job, and no dashboard or alert adds it up', () => {
  const files = ['dashboards/etl.json', 'alerts/etl.rules.yml']
  const asked = files.map((file) => readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8'))
  // Of counters the rates are added up, and of gauges what is the same in all instances.
  expect(asked.join('\n').match(/sum\s*(?:by \(\w+\) )?\(\s*tendon_\w+/g)).toBe(null)
})
