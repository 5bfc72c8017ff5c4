import { useState } from 'react'
import { signOut } from '../api.ts'
import { Logo } from './logo.tsx'

export function Masthead({ userName }: { userName?: string }) {
  const [state, setState] = useState<'idle' | 'busy' | 'failed'>('idle')

  async function leave() {
    setState('busy')
    try {
      location.assign(await signOut())
    } catch {
      setState('failed')
    }
  }

  return (
    <header className="masthead">
      <a className="brand" href="/">
        <Logo />
        Tendon
      </a>
      {userName && (
        <div className="masthead-user">
          <span className="user-name" data-testid="user-name">
            {userName}
          </span>
          <button
            type="button"
            className="button quiet"
            disabled={state === 'busy'}
            onClick={leave}
            data-testid="sign-out"
          >
            Sign out
          </button>
          {state === 'failed' && (
            <p role="alert" className="masthead-alert">
              You are still signed in: signing out did not work. Please try again.
            </p>
          )}
        </div>
      )}
    </header>
  )
}
