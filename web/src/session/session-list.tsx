import type { Problem } from '@tendon/contracts/problem.ts'
import type { OwnSessions } from '@tendon/contracts/session-api.ts'
import { useEffect, useRef, useState } from 'react'
import { endAllSessions, endSession, getOwnSessions, problemOf } from '../api.ts'
import { Age } from '../report/age.tsx'

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

  const load = async () => setSessions((await getOwnSessions()).sessions)

  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it opens
  useEffect(() => {
    dialog.current?.showModal()
    void run(load)
  }, [])

  return (
    <dialog ref={dialog} className="sessions" aria-labelledby="sessions-title" onClose={onClose}>
      <h1 id="sessions-title">Where you are signed in</h1>
      <ul aria-busy={isBusy}>
        {sessions.map(({ id, current, device, address, last_used_at: lastUsedAt }) => (
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
              </span>
            </span>
            {!current && (
              <button
                type="button"
                className="button quiet small"
                disabled={isBusy}
                onClick={() => run(() => endSession(id).then(load))}
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
        <button
          type="button"
          className="button quiet"
          disabled={isBusy}
          onClick={() => run(() => endAllSessions().then(onSessionEnd))}
        >
          Sign out everywhere
        </button>
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  )
}
