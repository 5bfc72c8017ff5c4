import { useEffect, useState } from 'react'
import type { CustomerPageProps } from '../customer-pages.tsx'
import { dayOfYear, isOver } from '../day.ts'
import { LiveText } from '../live/live-text.tsx'
import { trendKind } from '../report-kind.ts'
import { ReportPage } from '../report-page.tsx'
import { TrendCard } from './trend-card.tsx'

const windows = ['30', '90'] as const

/** How a customer's prostheses did over weeks, beside others of their model. */
export function TrendPage(props: CustomerPageProps) {
  const [days, setDays] = useState<(typeof windows)[number]>('30')
  const isOwn = props.userId === null
  useEffect(() => {
    document.title = 'Trend · Tendon'
  }, [])
  return (
    <ReportPage kind={trendKind} chosen={{ days }} {...props}>
      {({ report, freshness, isStale }) => (
        <div className={isStale ? 'report stale' : 'report'} aria-busy={isStale} data-testid="trend">
          <div className="section-head">
            <hgroup className="greeting">
              <h1>
                {isOwn ? (
                  'Over time'
                ) : (
                  <>
                    Trend of <LiveText text={report.data.customer.full_name} testId="customer-name" />
                  </>
                )}
              </h1>
              <p>
                {dayOfYear(report.data.from)} to {dayOfYear(report.date)}, beside the median of all prostheses
                of the same model
              </p>
            </hgroup>
            <fieldset className="choice">
              <legend className="visually-hidden">How far back</legend>
              {windows.map((option) => (
                <label key={option}>
                  <input
                    type="radio"
                    name="days"
                    checked={option === days}
                    onChange={() => setDays(option)}
                  />
                  <span>{option} days</span>
                </label>
              ))}
            </fieldset>
          </div>
          {report.data.prostheses.length === 0 && (
            <p className="no-day">There was no prosthesis on this day.</p>
          )}
          {report.data.prostheses.map((prosthesis) => (
            <TrendCard
              key={prosthesis.prosthesis_id}
              prosthesis={prosthesis}
              report={report}
              isOwn={isOwn}
              isOver={isOver(report.date, freshness ?? report.freshness, report.data.customer.time_zone)}
              windowDays={Number(report.parameters.days)}
            />
          ))}
        </div>
      )}
    </ReportPage>
  )
}
