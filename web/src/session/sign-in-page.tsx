import { Logo } from './logo.tsx'

export function SignInPage({ wasSignedIn }: { wasSignedIn: boolean }) {
  const returnTo = location.pathname + location.search
  return (
    <main className="sign-in">
      <div className="sign-in-card">
        <p className="brand">
          <Logo />
          Tendon
        </p>
        <h1>Your prosthesis, day by day</h1>
        {wasSignedIn ? (
          <p role="status">Your session has ended. Sign in again to go on where you were.</p>
        ) : (
          <p>How much it moved, how fast it answered, how long its battery lasted.</p>
        )}
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
