import { useEffect } from 'react'
import type { CustomerPageProps } from '../customer-pages.tsx'
import { historyKind } from '../report-kind.ts'
import { ReportPage } from '../report-page.tsx'
import { HistoryList } from './history-list.tsx'

/** What changed on a customer's prostheses, and when. */
export function HistoryPage(props: CustomerPageProps) {
  useEffect(() => {
    document.title = 'Service history · Tendon'
  }, [])
  return (
    <ReportPage kind={historyKind} {...props}>
      {({ report, isStale }) => (
        <HistoryList report={report} isOwn={props.userId === null} isStale={isStale} />
      )}
    </ReportPage>
  )
}
