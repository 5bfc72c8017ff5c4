import type { Metrics } from '@tendon/platform/metrics.ts'

export type ReportCounts = ReturnType<typeof createReportCounts>

/** What the service counts of its own work. */
export function createReportCounts(metrics: Metrics) {
  return {
    links: metrics.counter('links_total', 'Links given out, by whether the report was there already', [
      'report',
      'cache',
    ]),
    computation: metrics.histogram(
      'computation_duration_seconds',
      'Time to compute a report that was not there',
      ['report'],
    ),
    superseded: metrics.counter(
      'superseded_total',
      'Reports dropped because they were invalidated on their way',
    ),
    prewarmed: metrics.counter(
      'prewarmed_total',
      'Reports computed ahead, after their users were invalidated, by outcome',
      ['outcome'],
    ),
    invalidated: metrics.counter('invalidated_users_total', 'Users whose reports were invalidated'),
  }
}
