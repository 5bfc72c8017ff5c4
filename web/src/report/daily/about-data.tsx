import type { Freshness } from '@tendon/contracts/freshness.ts'
import type { DailyReport } from './daily-view.ts'

/** Where exactly the data stood, for a question to support. */
export function AboutData({ report, freshness }: { report: DailyReport; freshness: Freshness | null }) {
  return (
    <details className="about-data">
      <summary>About this data</summary>
      <p>
        Days go from midnight to midnight where the patient lives. The mean is that of the other days among
        the last 30; “as usual” is within one standard deviation of it, and a number is marked beyond two. Of
        100 responses, 95 took no longer than the 95th percentile.
      </p>
      <dl>
        <dt>Customer id</dt>
        <dd className="code">{report.user_id}</dd>
        <dt>Report made</dt>
        <dd className="code">{report.generated_at}</dd>
        <dt>Change feed position</dt>
        <dd className="code">{freshness?.cdc_position ?? 'none yet'}</dd>
        <dt>Processing run</dt>
        <dd className="code">{freshness?.etl_run ?? 'none yet'}</dd>
      </dl>
    </details>
  )
}
