import type { Problem } from '@tendon/contracts/problem.ts'
import { useRef, useState } from 'react'
import { endSessionsOfCustomer, problemOf } from '../api.ts'
import { NoticeLine } from '../notice.tsx'

/** Staff end all sign-ins of the customer whom they look at, as when a telephone was lost. */
export function CustomerSignOut(props: { userId: string; onSessionEnd: () => void }) {
  const { userId, onSessionEnd } = props
  const dialog = useRef<HTMLDialogElement>(null)
  const [isBusy, setIsBusy] = useState(false)
  const [outcome, setOutcome] = useState<string | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)

  function ask() {
    setOutcome(null)
    setProblem(null)
    dialog.current?.showModal()
  }

  async function end() {
    setIsBusy(true)
    try {
      setOutcome(outcomeOf(await endSessionsOfCustomer(userId)))
    } catch (error) {
      const failed = problemOf(error)
      if (failed.status === 401) onSessionEnd()
      setProblem(failed)
    }
    setIsBusy(false)
    dialog.current?.close()
  }

  return (
    <div className="customer-sign-out">
      <button type="button" className="button quiet small" onClick={ask}>
        Sign this customer out everywhere
      </button>
      <p role="status">{outcome}</p>
      {problem && <NoticeLine problem={problem} />}
      <dialog ref={dialog} className="sessions" aria-labelledby="customer-sign-out-title">
        <h2 id="customer-sign-out-title">Sign this customer out everywhere?</h2>
        <p>Every sign-in of theirs ends, on all devices. They can sign in again with their password.</p>
        <div className="sessions-actions">
          <button type="button" className="button quiet" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="button" className="button" disabled={isBusy} onClick={end}>
            Sign them out
          </button>
        </div>
      </dialog>
    </div>
  )
}

function outcomeOf(ended: number | null): string {
  if (ended === null) return 'This customer was not signed in of late.'
  return `Signed out: ${ended === 1 ? '1 sign-in' : `${ended} sign-ins`}.`
}
