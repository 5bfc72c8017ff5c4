import type { Problem } from '@tendon/contracts/problem.ts'
import type { OwnSessions } from '@tendon/contracts/session-api.ts'
import { useEffect, useRef, useState } from 'react'
import { Age } from '../age.tsx'
import { endAllSessions, endSession, getOwnSessions, problemOf } from '../api.ts'
import { markSignedOut } from './signed-out-mark.ts'

type SessionListProps = { onClose: () => void; onSessionEnd: () => void }

/** Where the person is signed in, as a dialog; what they do not know there, they end. */
export function SessionList({ onClose, onSessionEnd }: SessionListProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [sessions, setSessions] = useState<OwnSessions['sessions']>([])
  const [problem, setProblem] = useState<Problem | null>(null)
  const [isBusy, setIsBusy] = useState(true)

  async function run(task: () => Promise<void>) {
    setIsBusy(true)
    setProblem(null)
    try {
      await task()
    } catch (error) {
      const failed = problemOf(error)
      if (failed.status === 401) onSessionEnd()
      else setProblem(failed)
    }
    setIsBusy(false)
  }

  async function load() {
    setSessions((await getOwnSessions()).sessions)
  }

  async function endOther(id: string) {
    await endSession(id)
    setSessions((listed) => listed.filter((session) => session.id !== id))
  }

  async function endAll() {
    await endAllSessions()
    markSignedOut()
    onSessionEnd()
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it opens
  useEffect(() => {
    dialog.current?.showModal()
    void run(load)
  }, [])

  return (
    <dialog ref={dialog} className="sessions" aria-labelledby="sessions-title" onClose={onClose}>
      <h1 id="sessions-title">Where you are signed in</h1>
      <ul aria-busy={isBusy}>
        {sessions.map(({ id, current, device, address, started_at: startedAt, last_used_at: lastUsedAt }) => (
          <li key={id} data-testid="session">
            <span>
              <strong>{device ?? 'A device that cannot be named just now'}</strong>
              {current && ' (this one)'}
              <br />
              <span className="fine-print">
                {address && `${address}, `}
                {lastUsedAt && (
                  <>
                    used <Age at={lastUsedAt} />
                  </>
                )}
                {startedAt && (
                  <>
                    , signed in <Age at={startedAt} />
                  </>
                )}
              </span>
            </span>
            {!current && (
              <button
                type="button"
                className="button quiet small"
                disabled={isBusy}
                onClick={() => run(() => endOther(id))}
              >
                Sign out there
              </button>
            )}
          </li>
        ))}
      </ul>
      {problem && (
        <p role="alert">
          That did not work: {problem.title}. {problem.help}
        </p>
      )}
      <div className="sessions-actions">
        <button type="button" className="button quiet" disabled={isBusy} onClick={() => run(endAll)}>
          Sign out everywhere
        </button>
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  )
}
