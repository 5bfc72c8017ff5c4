import type { Problem } from '@tendon/contracts/problem.ts'
import type { OwnSessions } from '@tendon/contracts/session-api.ts'
import { useEffect, useRef, useState } from 'react'
import { Age } from '../age.tsx'
import { endAllSessions, endSession, endSessionsOf, getOwnSessions, problemOf } from '../api.ts'
import { NoticeLine } from '../notice.tsx'
import { tellOtherTabs } from './other-tabs.ts'
import { SignOutForm } from './sign-out-form.tsx'
import { markSignedOut } from './signed-out-mark.ts'

const timeFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })
const nameOf = (device: string | null) => device ?? 'A device that cannot be named just now'

type SessionListProps = {
  /** Whether they may sign other people out. */
  isStaff: boolean
  onClose: () => void
  onSessionEnd: () => void
}

/** Where the person is signed in, as a dialog; what they do not know there, they end. */
export function SessionList({ isStaff, onClose, onSessionEnd }: SessionListProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [sessions, setSessions] = useState<OwnSessions['sessions']>([])
  const [problem, setProblem] = useState<Problem | null>(null)
  const [isBusy, setIsBusy] = useState(true)
  /** What became of the device, or the person, that was to be signed out last. */
  const [outcome, setOutcome] = useState<string | null>(null)

  async function run(task: () => Promise<void>) {
    setIsBusy(true)
    setProblem(null)
    setOutcome(null)
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
    const listed = (await getOwnSessions()).sessions
    setSessions(listed.toSorted((one, other) => Number(other.current) - Number(one.current)))
  }

  async function endOther({ id, device }: OwnSessions['sessions'][number]) {
    if (await endSession(id)) {
      setSessions((listed) => listed.filter((session) => session.id !== id))
      setOutcome(`Signed out there: ${nameOf(device)}.`)
      return
    }
    // Each sign-in is a session of its own: the device may be signed in again, under another id.
    await load()
    setOutcome(
      `That sign-in had ended already: ${nameOf(device)}. The list now shows where you are still signed in.`,
    )
  }

  async function endOf(username: string) {
    const ended = await endSessionsOf(username)
    // One's own may have been meant.
    await load()
    setOutcome(
      ended === null
        ? `Nobody of the user name “${username}” was signed in of late.`
        : `Signed out everywhere: ${username} (${ended === 1 ? '1 sign-in' : `${ended} sign-ins`}).`,
    )
  }

  async function endAll() {
    await endAllSessions()
    markSignedOut()
    tellOtherTabs(null)
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
        {sessions.map((session) => (
          <li key={session.id} data-testid="session">
            <span>
              <strong>{nameOf(session.device)}</strong>
              {session.current && ' (this one)'}
              <br />
              <span className="fine-print">
                {session.address && `${session.address}, `}
                {session.last_used_at && (
                  <>
                    used <Age at={session.last_used_at} />
                  </>
                )}
                {session.started_at && (
                  <>
                    , signed in{' '}
                    <time dateTime={session.started_at}>
                      {timeFormat.format(Date.parse(session.started_at))}
                    </time>
                  </>
                )}
              </span>
            </span>
            {!session.current && (
              <button
                type="button"
                className="button quiet small"
                disabled={isBusy}
                onClick={() => run(() => endOther(session))}
              >
                Sign out there
              </button>
            )}
          </li>
        ))}
      </ul>
      {isStaff && <SignOutForm isBusy={isBusy} onSubmit={(username) => run(() => endOf(username))} />}
      <p role="status">{outcome}</p>
      {problem && <NoticeLine problem={problem} />}
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
