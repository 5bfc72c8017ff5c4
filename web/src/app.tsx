import { reportAdminRole } from '@tendon/contracts/roles.ts'
import { Notice } from './notice.tsx'
import { CustomerPages } from './report/customer-pages.tsx'
import { StaffPage } from './report/staff/staff-page.tsx'
import { Masthead } from './session/masthead.tsx'
import { SignInPage } from './session/sign-in-page.tsx'
import { useSession } from './session/use-session.ts'
import { useAddress } from './use-address.ts'

export function App() {
  const { session, retry, end } = useSession()
  const [address, navigate] = useAddress()

  if (session.state === 'signed-out') return <SignInPage wasSignedIn={session.ended} />
  if (session.state === 'loading') {
    return (
      <>
        <Masthead />
        <main className="page">
          <p className="loading" role="status">
            Opening your page…
          </p>
        </main>
      </>
    )
  }
  if (session.state === 'unavailable') {
    return (
      <>
        <Masthead />
        <main className="page">
          <Notice problem={session.problem} onRetry={retry} />
        </main>
      </>
    )
  }
  const { user } = session
  const isStaff = user.roles.includes(reportAdminRole)
  return (
    <>
      <Masthead user={{ name: user.username, isStaff, onSessionEnd: end }} />
      <main className="page">
        {user.customer_id ? (
          <CustomerPages
            key={user.customer_id}
            userId={null}
            address={{ ...address, userId: null }}
            onAddress={navigate}
            onSessionEnd={end}
          />
        ) : (
          <StaffPage mayRead={isStaff} address={address} onAddress={navigate} onSessionEnd={end} />
        )}
      </main>
    </>
  )
}
