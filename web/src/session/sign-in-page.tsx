import { useEffect } from 'react'
import { Logo } from './logo.tsx'
import { isMarkedSignedOut } from './signed-out-mark.ts'

export function SignInPage({ wasSignedIn }: { wasSignedIn: boolean }) {
  useEffect(() => {
    document.title = 'Tendon'
  }, [])
  const returnTo = location.pathname + location.search
  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <p className="brand">
          <Logo />
          Tendon
        </p>
        <h1>Your prosthesis, day by day</h1>
        <Greeting wasSignedIn={wasSignedIn} />
        {/* A link, not a form: form-action in the page's policy would also forbid the redirect to the login page. */}
        <a
          className="button"
          href={`/auth/login?${new URLSearchParams({ return_to: returnTo })}`}
          data-testid="sign-in"
        >
          Sign in
        </a>
      </div>
    </main>
  )
}

function Greeting({ wasSignedIn }: { wasSignedIn: boolean }) {
  if (isMarkedSignedOut()) return <p role="status">You are signed out.</p>
  if (wasSignedIn) return <p role="status">Your session has ended. Sign in again to go on where you were.</p>
  return <p>How much it moved, how fast it answered, how long its battery lasted.</p>
}
