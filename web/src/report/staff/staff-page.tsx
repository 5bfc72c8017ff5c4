import { Fragment } from 'react'
import { CustomerSignOut } from '../../session/customer-sign-out.tsx'
import type { Address } from '../../use-address.ts'
import { CustomerPages } from '../customer-pages.tsx'
import { FleetPage } from '../fleet/fleet-page.tsx'
import { ViewLinks } from '../view-links.tsx'
import { isCustomerId } from './customer-id.ts'
import { StaffForm } from './staff-form.tsx'

type StaffPageProps = {
  mayRead: boolean
  address: Address
  onAddress: (address: Address) => void
  onSessionEnd: () => void
}

const views = [
  { view: 'fleet', label: 'Fleet' },
  { view: 'day', label: 'By customer' },
] as const

/** For logins that are no customer's: staff see the fleet, and look for the customer whose reports they want. */
export function StaffPage({ mayRead, address, onAddress, onSessionEnd }: StaffPageProps) {
  const { userId, date } = address
  // An address that names a customer is about that customer.
  const isFleet = address.view === 'fleet' || (address.view === null && !userId)
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
      <ViewLinks
        label="Staff"
        views={views}
        current={isFleet ? 'fleet' : 'day'}
        address={address}
        onAddress={onAddress}
      />
      {isFleet ? (
        <FleetPage address={address} onAddress={onAddress} onSessionEnd={onSessionEnd} />
      ) : (
        <>
          <StaffForm
            key={`${userId} ${date}`}
            address={address}
            onSubmit={onAddress}
            onSessionEnd={onSessionEnd}
          />
          {userId && isCustomerId(userId) && (
            <Fragment key={userId}>
              <CustomerSignOut userId={userId} onSessionEnd={onSessionEnd} />
              <CustomerPages
                userId={userId}
                address={address}
                onAddress={onAddress}
                onSessionEnd={onSessionEnd}
              />
            </Fragment>
          )}
        </>
      )}
    </>
  )
}
