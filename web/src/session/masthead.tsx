import { useState } from 'react'
import { signOut } from '../api.ts'
import { Logo } from './logo.tsx'
import { tellOtherTabs } from './other-tabs.ts'
import { SessionList } from './session-list.tsx'
import { markSignedOut } from './signed-out-mark.ts'

type MastheadUser = { name: string; isStaff: boolean; onSessionEnd: () => void }

/** @param user absent while nobody is known to be signed in */
export function Masthead({ user }: { user?: MastheadUser }) {
  const [state, setState] = useState<'idle' | 'busy' | 'failed'>('idle')
  const [isListOpen, setIsListOpen] = useState(false)

  async function leave() {
    setState('busy')
    try {
      const next = await signOut()
      markSignedOut()
      tellOtherTabs(null)
      location.assign(next)
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
      {user && (
        <div className="masthead-user">
          <span className="user-name" data-testid="user-name">
            {user.name}
          </span>
          <button type="button" className="button quiet" onClick={() => setIsListOpen(true)}>
            Where you are signed in
          </button>
          {isListOpen && (
            <SessionList
              isStaff={user.isStaff}
              onClose={() => setIsListOpen(false)}
              onSessionEnd={user.onSessionEnd}
            />
          )}
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
