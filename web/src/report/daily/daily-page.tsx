import type { CustomerPageProps } from '../customer-pages.tsx'
import { isOver } from '../day.ts'
import { dailyKind } from '../report-kind.ts'
import { ReportPage } from '../report-page.tsx'
import { AboutData } from './about-data.tsx'
import { ReportView } from './report-view.tsx'

/** One day, beside the 29 before it. */
export function DailyPage(props: CustomerPageProps) {
  return (
    <ReportPage kind={dailyKind} {...props}>
      {({ report, freshness, isStale, days }) => (
        <>
          <ReportView
            report={report}
            isOwn={props.userId === null}
            isStale={isStale}
            isOver={isOver(report.date, freshness ?? report.freshness, report.data.customer.time_zone)}
            days={days}
            onDate={props.onDate}
          />
          <AboutData report={report} freshness={freshness} />
        </>
      )}
    </ReportPage>
  )
}
