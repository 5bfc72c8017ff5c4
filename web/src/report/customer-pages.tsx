import type { Address } from '../use-address.ts'
import { DailyPage } from './daily/daily-page.tsx'
import { type ReportEvents, useReportEvents } from './live/use-report-events.ts'
import { HistoryPage } from './service-history/history-page.tsx'
import { TrendPage } from './trend/trend-page.tsx'
import { ViewLinks } from './view-links.tsx'

export type CustomerPageProps = {
  /** Whose, when staff ask; null for one's own. */
  userId: string | null
  date: string | null
  events: ReportEvents
  onDate: (date: string) => void
  onSessionEnd: () => void
}

const views = [
  { view: 'day', label: 'Day' },
  { view: 'trend', label: 'Trend' },
  { view: 'history', label: 'Service history' },
] as const

const pages = { day: DailyPage, trend: TrendPage, history: HistoryPage }

/** The reports of one customer. */
export function CustomerPages(props: {
  userId: string | null
  address: Address
  onAddress: (address: Address) => void
  onSessionEnd: () => void
}) {
  const { userId, address, onAddress, onSessionEnd } = props
  const events = useReportEvents(userId, onSessionEnd)
  const view = address.view === null || address.view === 'fleet' ? 'day' : address.view
  const Page = pages[view]
  return (
    <>
      <ViewLinks views={views} current={view} address={address} onAddress={onAddress} label="Reports" />
      <Page
        key={view}
        userId={userId}
        date={address.date}
        events={events}
        onDate={(date) => onAddress({ ...address, date })}
        onSessionEnd={onSessionEnd}
      />
    </>
  )
}
