import { lastZone } from '@tendon/contracts/fleet.ts'
import { useEffect } from 'react'
import type { Address } from '../../use-address.ts'
import { isOver } from '../day.ts'
import { EmptyDay } from '../empty-day.tsx'
import { noEvents } from '../live/use-report-events.ts'
import { fleetKind } from '../report-kind.ts'
import { ReportPage } from '../report-page.tsx'
import { FleetView } from './fleet-view.tsx'

/** For staff: how all prostheses do. It is made anew with each processing run, so that looking now and then will do. */
export function FleetPage(props: {
  address: Address
  onAddress: (address: Address) => void
  onSessionEnd: () => void
}) {
  const { address, onAddress, onSessionEnd } = props
  const onDate = (date: string) => onAddress({ ...address, date })
  useEffect(() => {
    document.title = 'Fleet · Tendon'
  }, [])
  return (
    <ReportPage
      kind={fleetKind}
      userId={null}
      date={address.date}
      events={{ ...noEvents, isConnected: true }}
      onDate={onDate}
      onSessionEnd={onSessionEnd}
    >
      {({ report, freshness, isStale, days }) =>
        fleetKind.hasNumbers(report) ? (
          <FleetView
            report={report}
            isStale={isStale}
            isOver={isOver(report.date, freshness ?? report.freshness, lastZone)}
          />
        ) : (
          <EmptyDay date={report.date} days={days} onDate={onDate} />
        )
      }
    </ReportPage>
  )
}
