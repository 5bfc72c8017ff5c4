import type { Address } from '../use-address.ts'
import { ReportPage } from './report-page.tsx'
import { StaffForm } from './staff-form.tsx'

type StaffPageProps = {
  mayRead: boolean
  address: Address
  onAddress: (address: Address) => void
  onSessionEnd: () => void
}

/** For logins that are no customer's: staff name the customer whose report they want. */
export function StaffPage({ mayRead, address, onAddress, onSessionEnd }: StaffPageProps) {
  const { userId, date } = address
  if (!mayRead) {
    return (
      <section className="notice" data-testid="no-report">
        <h1>No report belongs to this login</h1>
        <p>
          It is neither a customer's nor that of staff who may read reports. Please ask whoever gave it to
          you.
        </p>
      </section>
    )
  }
  return (
    <>
      <StaffForm key={`${userId} ${date}`} address={address} onSubmit={onAddress} />
      {userId && (
        <ReportPage
          key={userId}
          userId={userId}
          date={date}
          onDate={(next) => onAddress({ userId, date: next })}
          onSessionEnd={onSessionEnd}
        />
      )}
    </>
  )
}
