import type { Freshness } from '@tendon/contracts/freshness.ts'
import { Age } from '../../age.tsx'

type FreshnessLineProps = {
  freshness: Freshness
  generatedAt: string | null
  isLive: boolean
  /** When such a report is made anew. */
  madeAnew: string
}

/** How old the report's data is, counting on. */
export function FreshnessLine({ freshness, generatedAt, isLive, madeAnew }: FreshnessLineProps) {
  return (
    <dl className="freshness" data-testid="freshness">
      <div
        className={isLive ? 'live-state on' : 'live-state'}
        title={`This page keeps itself up to date. The report is made anew ${madeAnew}.`}
      >
        <dt>{isLive ? 'Live' : 'Reconnecting'}</dt>
        <dd>
          {generatedAt ? (
            <>
              report made <Age at={generatedAt} />
            </>
          ) : (
            'no report yet'
          )}
        </dd>
      </div>
      <div title="When what the prostheses sent was last processed">
        <dt>Device data</dt>
        <dd data-testid="etl-age">
          {freshness.etl_at ? <Age at={freshness.etl_at} /> : 'not processed yet'}
        </dd>
      </div>
      <div title="Up to when changes of the customer records have been read">
        <dt>Customer record</dt>
        <dd data-testid="cdc-age">{freshness.cdc_at ? <Age at={freshness.cdc_at} /> : 'not read yet'}</dd>
      </div>
    </dl>
  )
}
