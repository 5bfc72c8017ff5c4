import type { Freshness } from '@tendon/contracts/freshness.ts'
import { Age } from '../age.tsx'

type FreshnessLineProps = { freshness: Freshness; generatedAt: string | null; isLive: boolean }

/** How old the report's data is, counting on. */
export function FreshnessLine({ freshness, generatedAt, isLive }: FreshnessLineProps) {
  return (
    <dl className="freshness" data-testid="freshness">
      <div className={isLive ? 'live-state on' : 'live-state'}>
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
      <div>
        <dt>Device data</dt>
        <dd data-testid="etl-age">
          {freshness.etl_at ? <Age at={freshness.etl_at} /> : 'not processed yet'}
        </dd>
      </div>
      <div>
        <dt>Customer record</dt>
        <dd data-testid="cdc-age">{freshness.cdc_at ? <Age at={freshness.cdc_at} /> : 'not read yet'}</dd>
      </div>
    </dl>
  )
}
